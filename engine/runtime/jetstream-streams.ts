// The sixteen streams of an engine: what was accepted and what became of it, for each partition. Made when they are
// missing, compared when they are there, and never changed: their settings decide what is kept, so a change is an
// operator's decision, for which the message has the command.

import { DiscardPolicy, JetStreamApiError, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import type { StreamConfig as StreamSettings } from "@nats-io/jetstream";
import { nanos } from "@nats-io/transport-node";

import { PARTITIONS } from "../message/partition.ts";
import type { StreamConfig } from "./config.ts";
import { EngineError, messageOf } from "./errors.ts";
import type { NatsLink } from "./jetstream-connection.ts";
import { isUnheard, missingRight } from "./jetstream-fault.ts";
import { claimsSubject, eventsStream, eventsSubject, ledgerStream, ledgerSubject } from "./jetstream-names.ts";
import type { Log } from "./log.ts";
import { passed } from "./clock.ts";
import { systemClock } from "./system-clock.ts";

const HOUR_MS = 3_600_000;
/** A claim is honoured for 72 h; the hour more is for clocks that differ. */
const EVENTS_AGE_MS = 73 * HOUR_MS;
/** JetStream's own default. Longer outages are covered by ids and expected sequences; ids cost memory in the server. */
const DUPLICATE_WINDOW_MS = 120_000;
/** Each makes a Raft group when there are replicas: a few at a time. */
const AT_ONCE_MAX = 4;
const ENSURE_TIMEOUT_MS = 30_000;
const RECREATE_PAUSE_MS = 1_500;
const PAUSE_MS = 250;
const WAITING_LOGGED_EVERY_MS = 5000;

/** JetStream's error codes (nats-server/server/errors.json). */
const STREAM_NOT_FOUND = 10059;
const SUBJECTS_OVERLAP = 10065;
const NOT_CLUSTERED = 10074;
/** No room to reserve max_bytes: in the server's max_file, or in what the account may use. */
const NO_ROOM = [10002, 10023, 10047, 10122];
/** Incomplete cluster, no peers yet, no leader: the others may still be starting. */
const NO_QUORUM = [10004, 10005, 10008, 10009, 10118];

/** What Volley insists on; the rest is left to the operators (description, placement, compression). */
type WantedStream = Pick<
  StreamSettings,
  | "name"
  | "subjects"
  | "retention"
  | "discard"
  | "storage"
  | "num_replicas"
  | "max_bytes"
  | "max_age"
  | "duplicate_window"
  | "max_msgs"
  | "max_msgs_per_subject"
  | "max_msg_size"
>;

/**
 * Creates what is missing and verifies what exists; two engines that start at once both succeed. A cluster without
 * quorum is waited for.
 *
 * @throws EngineError ERR_NATS_MISMATCH naming stream, setting, both values and the command for every difference;
 *   ERR_NATS_REFUSED when the server has no room or no rights for them; ERR_NATS_CONNECT when JetStream gave no
 *   answer within `timeoutMs` (30 s a stream).
 */
export async function ensureStreams(
  link: NatsLink,
  config: StreamConfig,
  log: Log,
  { timeoutMs = ENSURE_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Promise<void> {
  const wanted = wantedStreams(config);
  const mismatches: string[] = [];
  const created: string[] = [];
  for (let first = 0; first < wanted.length; first += AT_ONCE_MAX) {
    const some = wanted.slice(first, first + AT_ONCE_MAX);
    // oxlint-disable-next-line no-await-in-loop -- a few at a time is the point.
    const results = await Promise.allSettled(some.map((stream) => ensure({ link, config, log, timeoutMs, stream })));
    for (const [index, result] of results.entries()) {
      if (result.status === "rejected") throw result.reason;
      mismatches.push(...result.value.mismatches);
      if (result.value.kind === "created") created.push(some[index]?.name ?? "");
    }
  }
  if (mismatches.length > 0) throw new EngineError("ERR_NATS_MISMATCH", mismatches.join("\n"));
  log.info("streams.ready", { streams: wanted.length, created: created.length, replicas: config.replicas });
}

function wantedStreams(config: StreamConfig): WantedStream[] {
  const { name, replicas, eventsMaxBytes, ledgerMaxBytes, ledgerMaxAgeDays } = config;
  const common = {
    retention: RetentionPolicy.Limits,
    // The oldest may still be needed: rather refuse, and say 503, than forget.
    discard: DiscardPolicy.New,
    storage: StorageType.File,
    num_replicas: replicas,
    duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    max_msgs: -1,
    max_msgs_per_subject: -1,
    max_msg_size: -1,
  };
  return Array.from({ length: PARTITIONS }, (_, partition): WantedStream[] => [
    {
      ...common,
      name: eventsStream(name, partition),
      subjects: [eventsSubject(name, partition), claimsSubject(name, partition)],
      max_bytes: eventsMaxBytes,
      max_age: nanos(EVENTS_AGE_MS),
    },
    {
      ...common,
      name: ledgerStream(name, partition),
      subjects: [ledgerSubject(name, partition)],
      max_bytes: ledgerMaxBytes,
      max_age: nanos(ledgerMaxAgeDays * 24 * HOUR_MS),
    },
  ]).flat();
}

/**
 * After a stream was deleted: 2.9.10 may still be removing its files while the name is free again, and what is made
 * anew in that moment has no storage.
 */
export async function recreateStreams(link: NatsLink, config: StreamConfig, log: Log): Promise<void> {
  log.error("streams.missing", { servers: config.servers });
  await passed(systemClock, RECREATE_PAUSE_MS);
  await ensureStreams(link, config, log);
}

interface Ensuring {
  readonly link: NatsLink;
  readonly config: StreamConfig;
  readonly log: Log;
  readonly timeoutMs: number;
  readonly stream: WantedStream;
}

interface Ensured {
  readonly kind: "created" | "found";
  readonly mismatches: readonly string[];
}

async function ensure(ensuring: Ensuring): Promise<Ensured> {
  const { link, log, timeoutMs, stream } = ensuring;
  const startedAtMs = systemClock.monotonicMs();
  let loggedAtMs = startedAtMs;
  for (;;) {
    const reason = await ensureOnce(ensuring).catch((error: unknown) => passingReason(error, ensuring));
    if (typeof reason !== "string") return reason;
    const nowMs = systemClock.monotonicMs();
    const waitedMs = Math.round(nowMs - startedAtMs);
    if (waitedMs + PAUSE_MS >= timeoutMs || link.connection.isClosed()) {
      const message = `stream ${stream.name} could not be made within ${timeoutMs} ms: ${reason}`;
      throw new EngineError("ERR_NATS_CONNECT", message);
    }
    if (nowMs - loggedAtMs >= WAITING_LOGGED_EVERY_MS) {
      loggedAtMs = nowMs;
      log.warn("streams.waiting", { stream: stream.name, reason, waitedMs });
    }
    await passed(systemClock, PAUSE_MS);
  }
}

/**
 * Looks before it makes: `add` of an existing stream with the same settings answers "insufficient storage" once the
 * server is well filled (2.9.10), as if it were to be reserved again. And looks after a refusal: another engine may
 * have been faster.
 */
async function ensureOnce({ link, stream }: Ensuring): Promise<Ensured> {
  const existing = await found(link, stream.name);
  if (existing !== null) return { kind: "found", mismatches: differences(stream, existing) };
  try {
    await link.manager.streams.add(stream);
    return { kind: "created", mismatches: [] };
  } catch (error) {
    const faster = error instanceof JetStreamApiError ? await found(link, stream.name) : null;
    if (faster === null) throw error;
    return { kind: "found", mismatches: differences(stream, faster) };
  }
}

async function found(link: NatsLink, name: string): Promise<StreamSettings | null> {
  try {
    return (await link.manager.streams.info(name)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return null;
    throw error;
  }
}

/** Why to try again, in words; throws what does not pass. */
function passingReason(error: unknown, { config, stream }: Ensuring): string {
  const reason = messageOf(error);
  if (error instanceof JetStreamApiError) {
    if (NO_QUORUM.includes(error.code)) {
      return `${reason} (${error.code}); ${config.replicas} servers of the cluster must be up and offer JetStream`;
    }
    throw permanent(error, config, stream);
  }
  const right = missingRight(error);
  if (right !== null) throw new EngineError("ERR_NATS_REFUSED", `stream ${stream.name}: ${right}`, { cause: error });
  if (isUnheard(error)) {
    return "JetStream does not answer; is nats-server started with -js, and in a cluster, are most of its servers up?";
  }
  return reason === "timeout" ? "JetStream did not answer in time" : reason;
}

function permanent(error: JetStreamApiError, config: StreamConfig, { name, subjects }: WantedStream): EngineError {
  const said = `${error.message} (${error.code})`;
  const refused = (message: string): EngineError => new EngineError("ERR_NATS_REFUSED", message, { cause: error });
  if (NO_ROOM.includes(error.code)) return refused(`stream ${name}: ${said}. ${roomAdvice(config)}`);
  if (error.code === NOT_CLUSTERED) {
    return refused(`stream ${name}: ${said}. stream.replicas is ${config.replicas}; a single server can keep 1.`);
  }
  if (error.code === SUBJECTS_OVERLAP) {
    const message = `stream ${name}: another stream already takes ${subjects.join(" or ")}. Find it with: nats stream find --subject=${subjects[0] ?? ""} — and remove the subject from it, or choose another stream.name.`;
    return new EngineError("ERR_NATS_MISMATCH", message, { cause: error });
  }
  return refused(`stream ${name}: ${said}`);
}

/** nats-server reserves max_bytes of each stream when it is made, and says only that it did not fit. */
function roomAdvice({ eventsMaxBytes, ledgerMaxBytes }: StreamConfig): string {
  const total = PARTITIONS * (eventsMaxBytes + ledgerMaxBytes);
  return (
    `All streams together reserve ${total} bytes, which is ${PARTITIONS} times stream.eventsMaxBytes ${eventsMaxBytes} ` +
    `and stream.ledgerMaxBytes ${ledgerMaxBytes}: lower these, or raise max_file in nats-server's jetstream block ` +
    `(without it: three quarters of the disk that is free when the server starts).`
  );
}

/** A sentence for each setting that is not as wanted. */
function differences(wanted: WantedStream, existing: StreamSettings): string[] {
  return SETTINGS.filter(({ key }) => textOf(wanted[key]) !== textOf(existing[key])).map((setting) => {
    const { key, show, source, edit } = setting;
    const from = source === undefined ? "" : ` (${source(wanted)})`;
    const is = `stream ${wanted.name} has ${key} ${show(existing)}, wanted is ${show(wanted)}${from}`;
    if (edit === null) {
      return `${is}: this cannot be changed; choose another stream.name, or delete the stream and what it holds: nats stream rm ${wanted.name}`;
    }
    return `${is}: nats stream edit ${wanted.name} ${edit(wanted)}`;
  });
}

/** Subjects in any order are the same. */
function textOf(value: WantedStream[keyof WantedStream]): string {
  return Array.isArray(value) ? value.toSorted().join(" ") : String(value);
}

interface Setting {
  readonly key: keyof WantedStream;
  readonly show: (stream: WantedStream) => string;
  /** The key of our configuration that decides it. */
  readonly source?: (stream: WantedStream) => string;
  /** Options of `nats stream edit`; null where the server changes nothing. */
  readonly edit: ((stream: WantedStream) => string) | null;
}

const SETTINGS: readonly Setting[] = [
  {
    key: "subjects",
    show: ({ subjects }) => subjects.join(", "),
    edit: ({ subjects }) => subjects.map((subject) => `--subjects=${subject}`).join(" "),
  },
  { key: "retention", show: ({ retention }) => retention, edit: null },
  { key: "storage", show: ({ storage }) => storage, edit: null },
  { key: "discard", show: ({ discard }) => discard, edit: ({ discard }) => `--discard=${discard}` },
  {
    key: "num_replicas",
    show: (stream) => String(stream.num_replicas),
    source: () => "stream.replicas",
    edit: (stream) => `--replicas=${stream.num_replicas}`,
  },
  {
    key: "max_bytes",
    show: (stream) => String(stream.max_bytes),
    source: (stream) => (stream.name.includes("_LEDGER_") ? "stream.ledgerMaxBytes" : "stream.eventsMaxBytes"),
    edit: (stream) => `--max-bytes=${stream.max_bytes}`,
  },
  {
    key: "max_age",
    show: (stream) => durationText(stream.max_age),
    edit: (stream) => `--max-age=${durationText(stream.max_age)}`,
  },
  {
    key: "duplicate_window",
    show: (stream) => durationText(stream.duplicate_window),
    edit: (stream) => `--dupe-window=${durationText(stream.duplicate_window)}`,
  },
  { key: "max_msgs", show: (stream) => String(stream.max_msgs), edit: () => "--max-msgs=-1" },
  {
    key: "max_msgs_per_subject",
    show: (stream) => String(stream.max_msgs_per_subject),
    edit: () => "--max-msgs-per-subject=-1",
  },
  { key: "max_msg_size", show: (stream) => String(stream.max_msg_size), edit: () => "--max-msg-size=-1" },
];

/** As the NATS tools read it. */
function durationText(durationNanos: number): string {
  return `${durationNanos / 1e9}s`;
}
