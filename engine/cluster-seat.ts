// A partition's place in one node of a cluster. Its table (the ledger in LMDB) is on every node; the partition itself
// works on the node that holds its lease.
//
//   following   copies what the owner writes. own() leads to owning.
//   owning      the partition works: reads the stream, writes the ledger's stream and this table, sends while the
//               lease is valid. release() stops it in good order, lost() at once; both lead back to following. A
//               stream that lost its tail (onRewound) makes it stop and begin again from what the table proves.
//   stopped     entered by stop(), from any state, for good.
//
// Leases and fence: docs/decisions/0012-leases-by-clock-fence-by-sequence.md.
// The changes come one at a time, in the order in which they were asked for.

import type { Partition } from "./actor/partition.ts";
import type { PartitionProgress } from "./actor/partition-deps.ts";
import { oldestWaitingAt, waitingOf } from "./actor/campaign-memory.ts";
import { delayedIn } from "./actor/delay-book.ts";
import { isValid } from "./cluster/lease-validity-system.ts";
import { type LedgerLog, openLedgerLog } from "./ledger/jetstream-ledger-log.ts";
import type { Ledger } from "./ledger/lmdb-ledger.ts";
import type { MessageRecord } from "./message/message-record.ts";
import { createPartition, type OwnDeps, type Seat, type SharedDeps } from "./partition-seat.ts";
import { EngineError, messageOf } from "./runtime/errors.ts";
import type { NatsLink } from "./runtime/jetstream-connection.ts";
import { eventsStream } from "./runtime/jetstream-names.ts";
import { isPositionHeld } from "./runtime/jetstream-tail.ts";
import { type EventsReader, openEventsReader } from "./stream/jetstream-events-reader.ts";
import type { ClaimsReader } from "./stream/lmdb-claims-reader.ts";

export interface ClusterSeatOptions {
  readonly partition: number;
  readonly shared: SharedDeps;
  readonly link: NatsLink;
  readonly ledger: Ledger;
  readonly nodeName: string;
  /** By partition. */
  readonly leases: Float64Array;
  decisionOf: ClaimsReader["decisionOf"];
  /** This node owns the partition already: the thread crashed and starts again. */
  readonly isOwned: boolean;
  /** Creates streams that are missing. */
  recreate(): Promise<void>;
  report(progress: PartitionProgress): void;
  onRebuilding(done: number, total: number): void;
  /** Another role: its figures begin anew. */
  onSeated(): void;
  /** The stream lost its tail: what was accepted must be given to it again. */
  onRewound(): void;
  /** Rows of a history that the cluster did not keep: see jetstream-ledger-log.ts. */
  onFork(records: readonly MessageRecord[]): Promise<void>;
  onBroken(error: unknown): void;
}

/** How often a lapsed lease is looked at while requests wait for it. */
const GATE_LOOK_MS = 20;
/** Until the next try to take the partition up, when one failed. */
const RETRY_MS = 1_000;
/** How long a partition that is given up waits for a connection that is away. */
const UNCONNECTED_MS_MAX = 3_000;
/** Between two reports of what was copied. */
const REPORT_EVERY_MS = 200;
const FROM_THE_BEGINNING = { sequence: 0, id: "" };

export class ClusterSeat implements Seat {
  readonly partition: number;
  worker: Partition | null = null;
  readonly #options: ClusterSeatOptions;
  readonly #log: LedgerLog;
  /** Aborted when the partition is not to be taken up any more. */
  #taking = new AbortController();
  #reader: EventsReader | null = null;
  #gate: SendGate | null = null;
  #turn: Promise<void> = Promise.resolve();
  #isReportPlanned = false;
  /** This node holds the lease. */
  #isOwned = false;
  #isStopped = false;
  #changed = new Set<number>();

  constructor(options: ClusterSeatOptions) {
    const { partition, link, ledger, nodeName, shared } = options;
    this.#options = options;
    this.partition = partition;
    this.#log = openLedgerLog({
      link,
      partition,
      ledger,
      nodeName,
      recreate: () => options.recreate(),
      onProgress: (done, total) => options.onRebuilding(done, total),
      onApplied: (campaignNumbers) => this.#copied(campaignNumbers),
      onFork: (records) => options.onFork(records),
      onBroken: (error) => this.#broken(error),
      log: shared.log,
      clock: shared.clock,
    });
  }

  async start(): Promise<void> {
    const started = this.#catchUp(this.#turn);
    // What is asked for meanwhile waits.
    this.#turn = started.catch(() => undefined);
    await started;
    this.#copied(this.#options.ledger.campaignStates().map(({ campaignNumber }) => campaignNumber));
    if (this.#options.isOwned) this.own();
  }

  async #catchUp(before: Promise<void>): Promise<void> {
    await before;
    await this.#log.reconcile();
    await this.#log.follow();
  }

  own(): void {
    this.#isOwned = true;
    this.#taking = new AbortController();
    this.#inTurn(async () => {
      if (this.worker !== null || !this.#isOwned) return;
      await this.#log.takeUp();
      await this.#sit();
      this.#options.shared.log.info("partition.taken", { partition: this.partition });
    });
  }

  /** Resolves once another node may take the partition up. */
  async release(): Promise<void> {
    this.#isOwned = false;
    this.#stopTaking();
    this.#inTurn(async () => {
      if (this.worker === null) return;
      await this.#finish(this.worker);
      await this.#getUp();
      this.#followOn();
      this.#options.shared.log.info("partition.released", { partition: this.partition });
    });
    await this.#turn;
  }

  /** Another node owns the partition. */
  lost(): void {
    this.#isOwned = false;
    this.#stopTaking();
    this.#gate?.close();
    this.worker?.abandon();
    this.#inTurn(async () => {
      if (this.worker === null) return;
      await this.#getUp();
      this.#followOn();
      this.#options.shared.log.warn("partition.lost", { partition: this.partition });
    });
  }

  /** More claims are decided. */
  folded(): void {
    this.#reader?.folded();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#isOwned = false;
    this.#stopTaking();
    // Who does not work has nothing to write any more.
    if (this.worker === null) await this.#log.close();
    this.#inTurn(async () => {
      if (this.worker !== null) await this.#finish(this.worker);
      await this.#getUp();
    });
    await this.#turn;
    await this.#log.close();
    await this.#options.ledger.close();
  }

  /** A partition that is being taken up does not wait for servers any more. */
  #stopTaking(): void {
    this.#taking.abort();
    if (this.worker === null) this.#log.release();
  }

  /** In good order, unless the connection stays away: then its last changes cannot be written, here or elsewhere. */
  async #finish(worker: Partition): Promise<void> {
    const { link, shared } = this.#options;
    const giveUp = (): void => {
      if (!link.isConnected()) worker.abandon();
    };
    let cancel = shared.clock.after(UNCONNECTED_MS_MAX, giveUp);
    const forget = link.onChange(() => {
      cancel();
      cancel = shared.clock.after(UNCONNECTED_MS_MAX, giveUp);
    });
    await worker.stop();
    cancel();
    forget();
  }

  /** Begins where this table ends; from the stream's beginning when the stream is not what it was. */
  async #sit(): Promise<void> {
    const { link, ledger, shared, leases } = this.#options;
    const { partition } = this;
    const stream = eventsStream(link.prefix, partition);
    const known = ledger.cursorPosition();
    const isHeld = await isPositionHeld(link, stream, known);
    if (!isHeld) {
      shared.log.error("stream.rewound", { stream, sequence: known.sequence });
      this.#options.onRewound();
    }
    const after = isHeld ? known : FROM_THE_BEGINNING;
    const reader = await openEventsReader({
      link,
      partition,
      after,
      decisionOf: this.#options.decisionOf,
      onMore: () => this.worker?.appended(),
      onRewound: () => this.#rewound(),
      log: shared.log,
      clock: shared.clock,
      signal: this.#taking.signal,
    });
    const gate = new SendGate(() => isValid(leases, partition), shared.clock);
    this.#reader = reader;
    this.#gate = gate;
    const takenAtMs = shared.clock.nowMs();
    this.worker = createPartition(shared, {
      partition,
      streamHead: reader.head,
      ledger: {
        get: (id) => ledger.get(id),
        records: (range) => ledger.records(range),
        due: (range) => ledger.due(range),
        campaignStates: () => ledger.campaignStates(),
        cursor: () => after.sequence,
        mark: (key) => ledger.mark(key),
        marks: (range) => ledger.marks(range),
        // The former owner's clock is not ours: its last second is surely over a second after we took up its work.
        lastDispatchAt: () => takenAtMs,
        commit: (batch) =>
          this.#log.commit(batch.cursor === null ? batch : { ...batch, cursorId: reader.idAt(batch.cursor) }),
      },
      readStream: (afterSequence) => reader.read(afterSequence),
      permit: (call) => gate.permit(call),
      send: (request, done) => shared.send({ ...request, mayLeave: gate.isOpen }, done),
      report: (progress) => {
        reader.ack(progress.cursor);
        // Arrivals are counted where they were accepted.
        const campaigns = progress.campaigns.map((campaign) => ({ ...campaign, arrived: 0 }));
        this.#options.report({ ...progress, campaigns });
      },
      onBroken: (error) => this.#broken(error),
    } satisfies OwnDeps);
    this.#options.onSeated();
    this.worker.start();
  }

  async #getUp(): Promise<void> {
    this.#gate?.close();
    this.worker?.abandon();
    this.worker = null;
    this.#gate = null;
    await this.#reader?.close();
    this.#reader = null;
    this.#log.release();
  }

  #followOn(): void {
    this.#options.onSeated();
    if (this.#isStopped) return;
    // It rejects when the partition is taken up, or all is closed, before it has caught up.
    this.#log.follow().catch((error: unknown) => {
      if (!isFenced(error) && !this.#isStopped) this.#options.onBroken(error);
    });
    this.#copied(this.#options.ledger.campaignStates().map(({ campaignNumber }) => campaignNumber));
  }

  /** Everything that was accepted is in some node's outbox and will be in the stream again. */
  #rewound(): void {
    this.#inTurn(async () => {
      if (this.worker === null) return;
      await this.#finish(this.worker);
      this.#gate?.close();
      await this.#reader?.close();
      this.worker = null;
      this.#options.onRewound();
      await this.#sit();
    });
  }

  #broken(error: unknown): void {
    if (!isFenced(error)) {
      if (!this.#isStopped) this.#options.onBroken(error);
      return;
    }
    this.lost();
    // Who was fenced out but still has the lease takes the partition up again: the bucket may have lost its tail.
    const { leases, shared } = this.#options;
    shared.clock.after(RETRY_MS, () => {
      if (isValid(leases, this.partition) && !this.#isStopped) this.own();
    });
  }

  #copied(campaignNumbers: readonly number[]): void {
    for (const number of campaignNumbers) this.#changed.add(number);
    if (this.#isReportPlanned || this.worker !== null) return;
    this.#isReportPlanned = true;
    this.#options.shared.clock.after(REPORT_EVERY_MS, () => {
      this.#isReportPlanned = false;
      if (this.worker === null && !this.#isStopped) this.#reportCopy();
    });
  }

  #reportCopy(): void {
    const { ledger } = this.#options;
    const states = ledger.campaignStates();
    const changed = states.filter(({ campaignNumber }) => this.#changed.has(campaignNumber));
    this.#changed = new Set();
    this.#options.report({
      partition: this.partition,
      cursor: ledger.cursor(),
      waiting: states.reduce((sum, state) => sum + waitingOf(state), 0),
      unmatchedStatuses: 0,
      campaigns: changed.map((state) => {
        const waiting = waitingOf(state);
        return {
          campaignNumber: state.campaignNumber,
          arrived: 0,
          waiting,
          oldestWaitingAtMs: waiting > 0 ? oldestWaitingAt(state) : null,
          delayed: delayedIn(ledger, state.campaignNumber),
          dispatched: 0,
          settled: 0,
        };
      }),
    });
  }

  #inTurn(work: () => Promise<void>): void {
    this.#turn = this.#turn.then(work).catch(async (error: unknown) => {
      if (this.#isStopped) return;
      const { log, clock } = this.#options.shared;
      log.error("partition.failed", { partition: this.partition, reason: messageOf(error) });
      await this.#getUp();
      this.#followOn();
      clock.after(RETRY_MS, () => {
        if (this.#isOwned && !this.#isStopped) this.own();
      });
    });
  }
}

function isFenced(error: unknown): boolean {
  return error instanceof EngineError && error.code === "ERR_PARTITION_FENCED";
}

/** Lets requests leave while this node's lease is valid. What waits leaves when it is again, or never. */
class SendGate {
  readonly #isValid: () => boolean;
  readonly #clock: SharedDeps["clock"];
  readonly #waiting: (() => void)[] = [];
  #isClosed = false;
  #isLooking = false;

  constructor(isLeaseValid: () => boolean, clock: SharedDeps["clock"]) {
    this.#isValid = isLeaseValid;
    this.#clock = clock;
  }

  readonly isOpen = (): boolean => !this.#isClosed && this.#isValid();

  permit(call: () => void): void {
    if (this.#isClosed) return;
    if (this.#waiting.length === 0 && this.isOpen()) {
      call();
      return;
    }
    this.#waiting.push(call);
    this.#look();
  }

  close(): void {
    this.#isClosed = true;
    this.#waiting.length = 0;
  }

  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#clock.after(GATE_LOOK_MS, () => {
      this.#isLooking = false;
      while (this.#waiting.length > 0 && this.isOpen()) this.#waiting.shift()?.();
      if (this.#waiting.length > 0) this.#look();
    });
  }
}
