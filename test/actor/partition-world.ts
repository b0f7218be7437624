// A partition over a real ledger, with everything around it in the test's hands: the stream is an array, the clock
// stands still until it is moved, deferred calls and commits happen when the test says so. So a crash can be placed
// between any two steps: the partition is never called again, its ledger is opened anew.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { Partition } from "../../engine/actor/partition.ts";
import type {
  PartitionCampaign,
  PartitionDeps,
  PartitionProgress,
  SenderReport,
  SendRequest,
} from "../../engine/actor/partition-deps.ts";
import type { RecipientBudget } from "../../engine/actor/recipient-budget.ts";
import type { CampaignSettings, SenderSettings } from "../../engine/actor/sender-messages.ts";
import { countDoubleSend, countTransition } from "../../engine/ledger/counters.ts";
import { type Ledger, type LedgerBatch, openLedger } from "../../engine/ledger/lmdb-ledger.ts";
import { isSentTwice, mergeStatus } from "../../engine/ledger/status-merge.ts";
import type { Cancel } from "../../engine/message/cancel.ts";
import { encodeEnvelope, ENVELOPE_ITEMS_MAX } from "../../engine/message/envelope.ts";
import type { AcceptedEvent } from "../../engine/message/event.ts";
import {
  campaignPrefix,
  decodeMessageId,
  encodeMessageId,
  isMessageId,
  type MessageId,
} from "../../engine/message/ids.ts";
import type { MarketingRules } from "../../engine/message/marketing.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import type { StatusUpdate } from "../../engine/message/status-update.ts";
import { isSettled } from "../../engine/message/status.ts";
import type { SendRoute, Verdict } from "../../engine/message/verdict.ts";
import type { Log } from "../../engine/runtime/log.ts";
import { ManualClock } from "./manual-clock.ts";
import { seededRandom } from "./seeded-random.ts";

const PARTITION = 3;
const SILENT_LOG: Log = { info: () => {}, warn: () => {}, error: () => {} };

/** Memory for the ledgers where the machine has it: thousands of commits need no disk to be real LMDB. */
const FOLDER = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

export interface Send {
  readonly messageId: MessageId;
  readonly attempt: number;
  readonly senderId: string;
  readonly campaignNumber: number;
  readonly phoneNumber: string;
  readonly route: SendRoute;
  /** What the person would read. */
  readonly text: string;
  readonly atMonotonicMs: number;
  answer(verdict: Verdict): void;
}

/** What the campaigns here render. */
interface SentBody {
  readonly messageId: MessageId;
  readonly attempt: number;
  readonly message: string;
}

interface PendingCommit {
  readonly batch: LedgerBatch;
  readonly onDurable: () => void;
}

export interface CampaignChoice extends Partial<CampaignSettings> {
  readonly campaignNumber: number;
  readonly senderId?: string;
  readonly isRemoved?: boolean;
  readonly deliveryTimeoutMs?: number;
}

/** What an event of a test has beside its campaign. */
export interface EventChoice {
  readonly phoneNumber?: string;
  readonly sendAtMs?: number;
  readonly waitKey?: string;
  readonly attributes?: Readonly<Record<string, unknown>>;
}

const NO_MARKETING_RULES: MarketingRules = { refusal: () => null, cap: () => null };

export interface WorldOptions {
  readonly seed?: number;
  readonly senders?: readonly (Partial<SenderSettings> & { senderId: string })[];
  /** How many recipients there are. Default a million. */
  readonly phones?: number;
  readonly bounds?: ConstructorParameters<typeof Partition>[0]["bounds"];
  /** Stands between the partition and all it needs: to watch, or to plant a fault. */
  readonly wrap?: (deps: PartitionDeps) => PartitionDeps;
  /** A batch is on disk, whether the partition learns of it or not. */
  onDurable?(batch: LedgerBatch): void;
}

export class World {
  readonly clock: ManualClock = new ManualClock();
  readonly stream: { sequence: number; bytes: Uint8Array }[] = [];
  readonly sends: Send[] = [];
  /** Sends of the partition that lives, without a verdict yet. */
  inFlight: Send[] = [];
  ledger: Ledger;
  partition: Partition;
  progress: PartitionProgress | null = null;
  readonly accepted: MessageId[] = [];
  readonly senders: Map<string, SenderSettings> = new Map();
  readonly random: () => number;
  readonly campaigns: Map<number, PartitionCampaign> = new Map();
  readonly reports: Map<string, SenderReport> = new Map();
  reportsTold = 0;
  /** By sender; one without is not limited. Of the thread that lives. */
  readonly budgets: Map<string, RecipientBudget> = new Map();
  readonly unknownCodes: number[] = [];
  staleTemplates = 0;
  marketing: MarketingRules = NO_MARKETING_RULES;
  marketingSendsElsewhere = 0;
  /** What the code of a `failed` status says. */
  failureOf: (update: StatusUpdate) => Verdict = ({ errorCode, errorReason }) => {
    return { kind: "rejected", errorCode, reason: errorReason };
  };
  /** Since the machine started; another boot begins anew. */
  boot = "boot-1";
  bootedAtMonotonicMs = 0;
  marksWritten = 0;
  rowsWritten = 0;
  rowsRead = 0;
  /** Whether requests may leave; those that may not wait in `heldBack`. */
  maySend = true;
  heldBack: (() => void)[] = [];
  readonly #path: string;
  readonly #phones: number;
  readonly #options: WorldOptions;
  #deferred: (() => void)[] = [];
  #pendingCommit: PendingCommit | null = null;
  #life = 0;
  #sequence = 0;
  #lastIdMs = 0;

  constructor(path: string, options: WorldOptions) {
    this.#path = path;
    this.#options = options;
    this.#phones = options.phones ?? 1_000_000;
    this.random = seededRandom(options.seed ?? 1);
    for (const sender of options.senders ?? [{ senderId: "shop" }]) this.setSender(sender);
    this.ledger = openLedger({ path, readOnly: false });
    this.partition = this.#newPartition();
  }

  static async open(options: WorldOptions = {}): Promise<World> {
    return new World(await mkdtemp(join(FOLDER, "volley-partition-")), options);
  }

  async close(): Promise<void> {
    this.#life += 1;
    await this.ledger.close();
    await rm(this.#path, { recursive: true, force: true });
  }

  setSender(sender: Partial<SenderSettings> & { senderId: string }): void {
    const defaults = { messagesPerSecond: 1_000, pair: { periodMs: 6_000, burst: 45 }, inFlightMax: 500 };
    this.senders.set(sender.senderId, { ...defaults, ...sender });
  }

  // Inputs

  setCampaign(choice: CampaignChoice): void {
    const { campaignNumber, senderId = "shop", isRemoved = false, ...rest } = choice;
    const { deliveryTimeoutMs = 31 * 86_400_000, ...settings } = rest;
    const campaign: PartitionCampaign = {
      id: `campaign-${campaignNumber}`,
      senderId: isRemoved ? "" : senderId,
      templateName: "hello",
      templateLanguage: "en",
      isRemoved,
      deliveryTimeoutMs,
      settings: {
        campaignNumber,
        templateKey: "hello/en",
        category: "UTILITY",
        quietHours: null,
        lane: "transactional",
        weight: 1,
        messagesPerSecond: null,
        isPaused: false,
        timeToLiveMs: 86_400_000,
        uncertain: { waitMs: 600_000, then: "resend" },
        ...settings,
      },
      render: ({ messageId, attempt, attributes }) => {
        if (attributes["unrenderable"] === true) return { kind: "unrenderable", reason: "A value is empty." };
        const message = greetingFor(attributes["name"]);
        return { kind: "rendered", message, request: JSON.stringify({ messageId, attempt, message }), changes: [] };
      },
    };
    this.campaigns.set(campaignNumber, campaign);
    this.partition.setCampaign(campaign);
  }

  /** New events on the stream, which the partition is not told of. */
  accept(campaignNumber: number, count: number, choice: EventChoice = {}): MessageId[] {
    return this.acceptEvents(Array.from({ length: count }, () => this.event(campaignNumber, choice)));
  }

  acceptEvents(events: readonly AcceptedEvent[]): MessageId[] {
    for (let from = 0; from < events.length; from += ENVELOPE_ITEMS_MAX) {
      this.append(encodeEnvelope({ kind: "events", events: events.slice(from, from + ENVELOPE_ITEMS_MAX) }));
    }
    const ids = events.map(({ messageId }) => messageId);
    this.accepted.push(...ids);
    return ids;
  }

  /** One that is not on the stream yet. */
  event(campaignNumber: number, choice: EventChoice = {}): AcceptedEvent {
    const { attributes = {}, ...rest } = choice;
    this.#lastIdMs = Math.max(this.#lastIdMs, this.clock.nowMs());
    this.#sequence += 1;
    const address = { partition: PARTITION, campaignNumber, node: 0 };
    const messageId = encodeMessageId({ ...address, acceptedAtMs: this.#lastIdMs, sequence: this.#sequence });
    const phoneNumber = `+49151${String(10_000_000 + Math.floor(this.random() * this.#phones))}`;
    return { messageId, phoneNumber, attributes: JSON.stringify(attributes), ...rest };
  }

  /** An event of the campaign `by` ends what waits in `campaignNumber` under the key. @returns the event's id. */
  cancel(campaignNumber: number, key: string, by: number, byMessage?: MessageId): MessageId {
    const id = byMessage ?? this.event(by).messageId;
    const cancel: Cancel = { campaignNumber, key, by: id, byCampaignId: `campaign-${by}`, atMs: this.clock.nowMs() };
    this.append(encodeEnvelope({ kind: "cancels", cancels: [cancel] }));
    return id;
  }

  appendEvents(...events: readonly AcceptedEvent[]): void {
    this.append(encodeEnvelope({ kind: "events", events }));
    this.accepted.push(...events.map(({ messageId }) => messageId));
  }

  updates(...updates: readonly StatusUpdate[]): void {
    this.append(encodeEnvelope({ kind: "statuses", updates }));
  }

  append(bytes: Uint8Array): void {
    this.stream.push({ sequence: this.stream.length + 1, bytes });
  }

  // Steps

  /** Runs the oldest deferred call; false when there was none. */
  runDeferred(): boolean {
    const call = this.#deferred.shift();
    call?.();
    return call !== undefined;
  }

  get isCommitting(): boolean {
    return this.#pendingCommit !== null;
  }

  get hasDeferred(): boolean {
    return this.#deferred.length > 0;
  }

  /** Makes the batch under way durable; the partition learns of it only if `isTold`. */
  async finishCommit(isTold = true): Promise<boolean> {
    const pending = this.#pendingCommit;
    if (pending === null) return false;
    await this.ledger.commit(pending.batch);
    this.#pendingCommit = null;
    this.#options.onDurable?.(pending.batch);
    if (isTold) pending.onDurable();
    return true;
  }

  /** Everything that needs neither time nor a verdict. */
  async settle(): Promise<void> {
    for (let step = 0; step < 100_000; step++) {
      if (this.runDeferred()) continue;
      if (!(await this.finishCommit())) return;
    }
    assert.fail("the partition never comes to rest");
  }

  /** The same, in small steps of time, so that limits open; answers every send. */
  async run(ms: number, verdict: (send: Send) => Verdict = () => acceptedVerdict()): Promise<void> {
    const endMs = this.clock.monotonicMs() + ms;
    for (;;) {
      await this.settle();
      const sends = this.inFlight;
      for (const send of sends) send.answer(verdict(send));
      if (sends.length > 0) continue;
      const waitMs = this.clock.nextInMs;
      const leftMs = endMs - this.clock.monotonicMs();
      if (waitMs === null || waitMs > leftMs) {
        this.clock.advance(leftMs);
        await this.settle();
        if (this.inFlight.length === 0) return;
      } else {
        this.clock.advance(waitMs);
      }
    }
  }

  /** The process is gone, and with it what was not durable; the next one has taken up its work. */
  async crash(commit: "lost" | "durable" = "lost"): Promise<void> {
    if (commit === "durable") await this.finishCommit(false);
    await this.abandon();
    this.restart();
  }

  async abandon(): Promise<void> {
    this.#life += 1;
    this.#pendingCommit = null;
    this.#deferred = [];
    this.inFlight = [];
    this.#lastIdMs = 0;
    this.clock.forgetTimers();
    await this.ledger.close();
    this.ledger = openLedger({ path: this.#path, readOnly: false });
  }

  /** Behind the back of every partition. */
  async commitMarks(marks: LedgerBatch["marks"]): Promise<void> {
    const nothing = { created: [], updated: [], cursor: null, campaigns: [], lastDispatchAtMs: null };
    await this.ledger.commit({ ...nothing, marks });
  }

  /** The next ids are of a new process: they follow its clock, also to an earlier time. */
  forgetIds(): void {
    this.#lastIdMs = 0;
  }

  restart(): void {
    this.partition = this.#newPartition();
    for (const campaign of this.campaigns.values()) this.partition.setCampaign(campaign);
    this.partition.start();
  }

  // What is on disk

  rows(campaignNumber: number): readonly MessageRecord[] {
    const from = campaignPrefix(PARTITION, campaignNumber);
    return this.ledger.records({ from, to: `${from}~`, limit: 1_000_000 });
  }

  row(id: MessageId): MessageRecord {
    const row = this.ledger.get(id);
    assert.ok(row, `${id} has a row`);
    return row;
  }

  countOf(campaignNumber: number): Record<string, number> {
    const counts: Record<string, number> = {};
    for (const { status } of this.rows(campaignNumber)) counts[status] = (counts[status] ?? 0) + 1;
    return counts;
  }

  /** What must hold whenever nothing is under way. */
  checkBooks(): void {
    let waiting = 0;
    const due: string[] = [];
    for (const campaignNumber of this.campaigns.keys()) {
      const byStatus: Record<string, number> = {};
      const byError: Record<string, number> = {};
      const rows = this.rows(campaignNumber);
      for (const { messageId, status, errorCode, dueAtMs } of rows) {
        byStatus[status] = (byStatus[status] ?? 0) + 1;
        if (errorCode !== null) byError[errorCode] = (byError[errorCode] ?? 0) + 1;
        if (!isSettled(status)) waiting += 1;
        if (dueAtMs > 0) due.push(`${dueAtMs} ${messageId}`);
        // One that was sent may wait for the end of its time for a delivery.
        if (isSettled(status) && status !== "sent") assert.equal(dueAtMs, 0, `${messageId} is ${status} and waits`);
      }
      const counters = this.ledger.campaignStates().find((state) => state.campaignNumber === campaignNumber)?.counters;
      const doubleSends = counters?.doubleSends ?? 0;
      const counted = { accepted: rows.length, byStatus, byError, doubleSends };
      const none = { accepted: 0, byStatus: {}, byError: {}, doubleSends };
      assert.deepEqual(counters ?? none, counted, "counters equal a recount");
    }
    const entries = this.ledger.due({ after: null, throughMs: Number.MAX_SAFE_INTEGER, limit: 1_000_000 });
    const indexed = entries.map(({ dueAtMs, messageId }) => `${dueAtMs} ${messageId}`);
    assert.deepEqual(indexed.toSorted(), due.toSorted(), "the due index holds the rows that wait for a time");
    if (this.progress !== null) assert.equal(this.progress.waiting, waiting, "memory's waiting equals a recount");
  }

  #newPartition(): Partition {
    const life = ++this.#life;
    const isAlive = (): boolean => this.#life === life;
    const { ledger } = this;
    this.progress = null;
    const { wrap = (deps: PartitionDeps) => deps } = this.#options;
    const deps: PartitionDeps = {
      partition: PARTITION,
      streamHead: this.stream.length,
      onAwaited: () => {},
      ...(this.#options.bounds === undefined ? {} : { bounds: this.#options.bounds }),
      ledger: {
        get: (id) => ledger.get(id),
        records: (range) => {
          const rows = ledger.records(range);
          this.rowsRead += rows.length;
          return rows;
        },
        due: (range) => ledger.due(range),
        cursor: () => ledger.cursor(),
        campaignStates: () => ledger.campaignStates(),
        lastDispatchAt: () => ledger.lastDispatchAt(),
        mark: (key) => ledger.mark(key),
        marks: (range) => ledger.marks(range),
        commit: (batch) => this.#beginCommit(batch),
      },
      readStream: (afterSequence) => this.stream.slice(afterSequence, afterSequence + 4),
      send: (request, done) => {
        assert.ok(isAlive(), "a partition that crashed sends nothing");
        this.#send(request, (verdict) => {
          if (isAlive()) done(verdict);
        });
      },
      mergeStatus,
      isSentTwice,
      countTransition,
      countDoubleSend,
      failureOf: (update) => this.failureOf(update),
      marketing: { refusal: (...asked) => this.marketing.refusal(...asked), cap: () => this.marketing.cap() },
      marketingSendsElsewhere: () => this.marketingSendsElsewhere,
      budgetOf: (senderId) => this.budgets.get(senderId) ?? null,
      regionOf: (phoneNumber) => (phoneNumber.startsWith("+49") ? "DE" : ""),
      uptime: () => ({ boot: this.boot, ms: this.clock.monotonicMs() - this.bootedAtMonotonicMs }),
      senderSettings: (senderId) => this.senders.get(senderId),
      clock: this.clock,
      random: this.random,
      defer: (call) => void (isAlive() && this.#deferred.push(call)),
      report: (progress) => {
        this.progress = progress;
      },
      reportSender: (senderId, report) => {
        this.reportsTold += 1;
        this.reports.set(senderId, report);
      },
      noteUnknownCode: (errorCode) => void this.unknownCodes.push(errorCode),
      noteStaleTemplate: () => void (this.staleTemplates += 1),
      permit: (call) => {
        if (this.maySend) call();
        else this.heldBack.push(call);
      },
      onBroken: (error) => assert.fail(String(error)),
      log: SILENT_LOG,
    };
    return new Partition(wrap(deps));
  }

  /** Not a real promise: what goes wrong after the commit must reach the test. */
  #beginCommit(batch: LedgerBatch): Promise<void> {
    assert.equal(this.#pendingCommit, null, "one commit at a time");
    // Records are never changed; the states of campaigns are, as soon as this returns.
    const copy = { ...batch, campaigns: structuredClone(batch.campaigns) };
    this.marksWritten += batch.marks.length;
    this.rowsWritten += batch.updated.length;
    return {
      then: (onDurable: () => void) => {
        this.#pendingCommit = { batch: copy, onDurable };
      },
    } as unknown as Promise<void>;
  }

  #send({ senderId, body, route }: SendRequest, done: (verdict: Verdict) => void): void {
    const { messageId, attempt, message } = JSON.parse(body) as SentBody;
    assert.ok(isMessageId(messageId));
    const row = this.row(messageId);
    assert.equal(row.status, "dispatched", "a request leaves only when its intent is durable");
    assert.equal(row.attempts, attempt, "the intent is of this attempt");
    const send: Send = {
      messageId,
      attempt,
      senderId,
      campaignNumber: decodeMessageId(messageId)?.campaignNumber ?? 0,
      phoneNumber: row.phoneNumber,
      route,
      text: message,
      atMonotonicMs: this.clock.monotonicMs(),
      answer: (verdict) => {
        this.inFlight = this.inFlight.filter((each) => each !== send);
        done(verdict);
      },
    };
    this.sends.push(send);
    this.inFlight.push(send);
  }
}

/** The text of every message here. */
export function greetingFor(name: unknown): string {
  return typeof name === "string" ? `Hello ${name}` : "Hello";
}

let wamids = 0;

export function acceptedVerdict(): Verdict {
  wamids += 1;
  return { kind: "accepted", wamid: `wamid.${wamids}`, isHeld: false };
}

export function statusOf(
  messageId: MessageId,
  status: StatusUpdate["status"],
  atMs: number,
  attempt = 1,
): StatusUpdate {
  const isFailed = status === "failed";
  return {
    messageId,
    attempt,
    status,
    wamid: `wamid.of.${messageId}`,
    atMs: Math.floor(atMs / 1_000) * 1_000,
    errorCode: isFailed ? 131_026 : null,
    errorReason: isFailed ? "Message undeliverable" : "",
    pricingCategory: "",
  };
}
