// Composition root of an actor thread: partitions with their ledgers, one connection pool to WhatsApp.
//
//   stream reader ─▶ partition (sender and campaign actors) ─▶ Cloud API client ─▶ verdict ─▶ ledger

import { parentPort, workerData } from "node:worker_threads";

import type { PartitionProgress } from "./actor/partition-deps.ts";
import type { FromThread, ThreadStart, ToThread } from "./actor/protocol.ts";
import type { SenderSettings } from "./actor/sender-actor.ts";
import { PhoneRegions } from "./campaign/phone-region.ts";
import type { ClusterThread } from "./cluster-thread.ts";
import { openOptOutsReader } from "./consent/lmdb-opt-outs-reader.ts";
import { createMarketingRules } from "./consent/marketing-rules.ts";
import { zonesOfRegion } from "./consent/time-zones.ts";
import { countDoubleSend, countTransition } from "./ledger/counters.ts";
import { type Ledger, openLedger } from "./ledger/lmdb-ledger.ts";
import { isSentTwice, mergeStatus } from "./ledger/status-merge.ts";
import { MarketingElsewhere } from "./marketing-elsewhere.ts";
import { EmbeddedSeat, type Seat, type SharedDeps, teach } from "./partition-seat.ts";
import { systemUptime } from "./runtime/boot-system.ts";
import type { SenderConfig } from "./runtime/config.ts";
import { EngineError, messageOf } from "./runtime/errors.ts";
import { createStdoutLog } from "./runtime/stdout-log.ts";
import { systemClock } from "./runtime/system-clock.ts";
import { openLmdbStreamReader } from "./stream/lmdb-stream-reader.ts";
import { ThreadBudgets } from "./thread-budgets.ts";
import { ThreadCampaigns } from "./thread-campaigns.ts";
import { createCloudApiClient } from "./whatsapp/cloud-api-client.ts";
import { RefusalLog } from "./whatsapp/refusal-log.ts";
import { failureOf, verdictOf } from "./whatsapp/send-verdict.ts";

/** Sends in flight of one number: two seconds' worth of its rate, within these bounds. */
const IN_FLIGHT = { min: 16, max: 2_000, secondsOfRate: 2 };
/** At least as many as sends may be in flight: waiting for a connection counts against the answer's deadline. */
const CONNECTIONS_MAX = 2_000;
const RESPONSE_TIMES_REPORT_MS = 1_000;
const RESPONSE_TIMES_MAX = 10_000;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- given by actor-threads.ts
const start = workerData as ThreadStart;
const log = createStdoutLog({ level: start.logLevel, thread: `actor-${start.threadIndex}` });
const post = (message: FromThread): void => parentPort?.postMessage(message);
const report = (progress: PartitionProgress): void => post({ kind: "progress", progress });

let senders = new Map(start.senders.map((sender) => [sender.id, sender]));
let responseTimes: number[] = [];
let consent = start.consent;
const campaigns = new ThreadCampaigns((senderId) => senders.get(senderId)?.wabaId ?? "");
const budgets = new ThreadBudgets(start.senders);
const { regionOf } = new PhoneRegions();
const optOuts = openOptOutsReader({ path: start.optOutsPath });
/** Of this thread's partitions, once they are open. */
const ledgers: { readonly partition: number; readonly ledger: Ledger }[] = [];
const marketingElsewhere = new MarketingElsewhere({ paths: start.ledgerPaths, own: ledgers });
const client = createCloudApiClient({ ...start.whatsapp, connectionsMax: CONNECTIONS_MAX, clock: systemClock });
const refusals = new RefusalLog(log);

const shared: SharedDeps = {
  campaigns,
  send: ({ senderId, ...request }, done) => {
    const sender = senders.get(senderId);
    if (sender === undefined) {
      done({ kind: "transient", errorCode: null, reason: `The configuration has no sender ${senderId} any more.` });
      return;
    }
    const { phoneNumberId, accessToken } = sender;
    const sentMs = performance.now();
    client.send({ phoneNumberId, accessToken, ...request }, (answer, writtenAtMs) => {
      if (responseTimes.length < RESPONSE_TIMES_MAX) responseTimes.push(performance.now() - sentMs);
      refusals.note(senderId, answer, performance.now());
      done(verdictOf(answer, request.route), writtenAtMs);
    });
  },
  mergeStatus,
  isSentTwice,
  countTransition,
  countDoubleSend,
  failureOf,
  marketing: createMarketingRules({
    optOutOf: (phoneNumber, nowMs) => optOuts.find(phoneNumber, nowMs),
    regionOf,
    zonesOf: zonesOfRegion,
    rules: () => consent,
  }),
  marketingElsewhere,
  budgetOf: budgets.of,
  regionOf,
  uptime: systemUptime,
  senderSettings: (senderId) => {
    const sender = senders.get(senderId);
    return sender === undefined ? undefined : senderSettings(sender);
  },
  clock: systemClock,
  random: () => Math.random(),
  defer: (call) => void setImmediate(call),
  reportSender: (senderId, senderReport) => post({ kind: "sender", senderId, report: senderReport }),
  noteUnknownCode: (errorCode) => post({ kind: "unknownCode", errorCode }),
  noteStaleTemplate: () => post({ kind: "staleTemplate" }),
  log,
};

function senderSettings(sender: SenderConfig): SenderSettings {
  const wanted = Math.ceil(sender.messagesPerSecond * IN_FLIGHT.secondsOfRate);
  return {
    senderId: sender.id,
    messagesPerSecond: sender.messagesPerSecond,
    pair: { periodMs: sender.pairLimit.periodSeconds * 1_000, burst: sender.pairLimit.burst },
    inFlightMax: Math.min(IN_FLIGHT.max, Math.max(IN_FLIGHT.min, wanted)),
  };
}

/** A ledger that cannot be written must not be written again: a failed fsync lies the second time. */
function onBroken(error: unknown): void {
  const code = error instanceof EngineError ? error.code : "ERR_LEDGER_WRITE";
  post({ kind: "broken", code, message: messageOf(error) });
}

interface ThreadSeats {
  readonly seats: readonly Seat[];
  readonly cluster: ClusterThread | null;
  /** What the seats share, closed after them. */
  close(): Promise<void>;
}

async function openSeats(): Promise<ThreadSeats> {
  const { stream } = start;
  for (const partition of start.partitions) {
    ledgers.push({ partition, ledger: openLedger({ path: start.ledgerPaths[partition] ?? "", readOnly: false }) });
  }
  if (stream.driver === "jetstream") {
    const { threadIndex } = start;
    // Who runs alone never loads the client of NATS.
    const { startClusterThread } = await import("./cluster-thread.ts");
    const cluster = await startClusterThread({ stream, threadIndex, ledgers, shared, post, report, onBroken });
    return { seats: cluster.seats, cluster, close: () => cluster.close() };
  }
  const reader = openLmdbStreamReader({ path: stream.path });
  const seats = ledgers.map(({ partition, ledger }) => {
    const streamHead = stream.heads[partition] ?? 0;
    return new EmbeddedSeat(shared, { partition, streamHead, ledger, stream: reader, report, onBroken });
  });
  return { seats, cluster: null, close: () => reader.close() };
}

function hear(message: ToThread, { seats, cluster }: ThreadSeats): void {
  const seatOf = (partition: number): Seat | undefined => seats.find((seat) => seat.partition === partition);
  switch (message.kind) {
    case "appended":
      for (const partition of message.partitions) seatOf(partition)?.worker?.appended();
      return;
    case "campaigns":
      teach(seats, campaigns, message.campaigns);
      return;
    case "senders":
      setSenders(message.senders, seats);
      return;
    case "consent":
      consent = message.rules;
      return;
    case "allowances":
      budgets.set(message.allowances);
      for (const { worker } of seats) worker?.refreshSenders();
      return;
    case "blockedElsewhere":
      for (const { worker } of seats) for (const id of message.senderIds) worker?.blockedElsewhere(id, message);
      return;
    case "replay": {
      const count = seatOf(message.partition)?.worker?.replay(message.ids, message.maxPerSecond) ?? 0;
      post({ kind: "replayed", call: message.call, count });
      return;
    }
    case "stop":
      return;
    case "own":
    case "release":
    case "lost":
    case "folded":
      cluster?.hear(message);
  }
}

function setSenders(news: readonly SenderConfig[], seats: readonly Seat[]): void {
  const before = senders;
  senders = new Map(news.map((sender) => [sender.id, sender]));
  for (const { worker } of seats) {
    worker?.refreshSenders();
    for (const { id, accessToken } of news) {
      const known = before.get(id);
      if (known !== undefined && known.accessToken !== accessToken) worker?.tokenChanged(id);
    }
  }
}

async function run(): Promise<void> {
  campaigns.set(start.campaigns);
  // What is told while the seats open waits in the port.
  const stopped = new Promise<void>((resolve) => {
    parentPort?.once("close", resolve);
    stop = resolve;
  });
  const parts = await openSeats();
  parentPort?.on("message", (message: ToThread) => {
    hear(message, parts);
    if (message.kind === "stop") stop();
  });
  await Promise.all(parts.seats.map((seat) => seat.start()));
  post({ kind: "ready" });
  await stopped;
  clearInterval(reporting);
  await Promise.all(parts.seats.map((seat) => seat.stop()));
  await client.close();
  await parts.close();
  await Promise.all([marketingElsewhere.close(), optOuts.close()]);
  parentPort?.close();
}

let stop = (): void => undefined;

const reporting = setInterval(() => {
  if (responseTimes.length === 0) return;
  post({ kind: "responseTimes", milliseconds: responseTimes });
  responseTimes = [];
}, RESPONSE_TIMES_REPORT_MS);

run().catch(onBroken);
