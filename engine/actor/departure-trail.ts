// What left in the last minutes, kept in the ledger, so that a number's limits go on after a restart where they were: a
// crash loop multiplies no burst, and no pair or campaign gets its allowance anew.
//
//   trail/<sequence>   one round: the departures it was to make, and when those of the rounds before it left
//
// A round's mark is written with its intents, before anything leaves; when it left is told by a later one. A round of
// which that is not known (the crash came between) counts as having left at the restart: too late, never too early.
//
// Times are the machine's since it was started (uptime), which no setting of the clock changes. Of another boot, or of
// another node, only the wall clock is left: a time in the future counts as now, and none is older than this boot.

import { Packr } from "msgpackr";

import type { MessageJournal } from "./message-journal.ts";
import type { PartitionDeps } from "./partition-deps.ts";

/** Limits look back so far at least, and at most: an hour of 1,000 messages a second is 80 MB. */
const HORIZON_MS_MIN = 300_000;
const HORIZON_MS_MAX = 3_600_000;
/** What a process that was killed had handed to its sockets may arrive so much later; an orderly end waits for answers. */
const LATE_ARRIVAL_MS = 200;
/** Marks that one round removes at most, beside the one that it adds. */
const REMOVED_MAX = 64;
const PAGE_MARKS = 1_000;
/** Between two samples of how old the trail is. */
const SAMPLE_MS = 1_000;

const PREFIX = "trail/";
const PREFIX_END = "~";
const SEQUENCE_DIGITS = 12;

export interface Departure {
  readonly senderId: string;
  readonly campaignNumber: number;
  readonly phoneNumber: string;
}

export interface PastDeparture extends Departure {
  readonly agoMs: number;
}

interface Moment {
  readonly uptimeMs: number;
  readonly wallMs: number;
}

interface Round extends Moment {
  readonly sequence: number;
  readonly boot: string;
  readonly departures: readonly Departure[];
  /** Rounds that had left when this one was written. */
  readonly departed: readonly (readonly [sequence: number, uptimeMs: number, wallMs: number])[];
}

/** Senders are named once; departures are three values each. */
type Packed = readonly [
  boot: string,
  uptimeMs: number,
  wallMs: number,
  senderIds: readonly string[],
  departures: readonly (number | string)[],
  departed: Round["departed"],
];

export interface DepartureTrailDeps extends Pick<PartitionDeps, "ledger" | "uptime" | "clock"> {
  readonly journal: MessageJournal;
}

// useRecords off: msgpackr's shared structures have forked between writers; plain arrays cannot.
const packr = new Packr({ useRecords: false });

export class DepartureTrail {
  /** Limits look back so far: departures are kept for it. */
  horizonMs: number = HORIZON_MS_MIN;
  /** When the newest round of an earlier run was written, epoch milliseconds; 0: there is none. */
  newestWallMs = 0;
  readonly #deps: DepartureTrailDeps;
  #nextSequence = 1;
  #firstSequence = 1;
  #departed: [sequence: number, uptimeMs: number, wallMs: number][] = [];
  /** Up to which sequence the trail was written when; oldest first. */
  readonly #samples: { readonly sequence: number; readonly monotonicMs: number }[] = [];

  constructor(deps: DepartureTrailDeps) {
    this.#deps = deps;
  }

  /** The horizon becomes longer if a limit needs it. */
  covers(windowMs: number): void {
    this.horizonMs = Math.max(this.horizonMs, Math.min(HORIZON_MS_MAX, windowMs));
  }

  /** Departures of earlier runs within the horizon, oldest first. Called once, before the first round. */
  restore(): readonly PastDeparture[] {
    const rounds = this.#read();
    const moments = new Map<number, Moment & { boot: string }>();
    for (const { boot, departed } of rounds) {
      for (const [sequence, uptimeMs, wallMs] of departed) moments.set(sequence, { boot, uptimeMs, wallMs });
    }
    const { ms: uptimeMs } = this.#deps.uptime();
    const { clock } = this.#deps;
    const [wallMs, monotonicMs] = [clock.nowMs(), clock.monotonicMs()];
    const lateMs = rounds.at(-1)?.departures.length === 0 ? 0 : LATE_ARRIVAL_MS;
    const past: PastDeparture[] = [];
    let agoMs = Number.POSITIVE_INFINITY;
    for (const { sequence, departures } of rounds) {
      const moment = moments.get(sequence);
      // Told once more with the next round, so that it counts as of now for the restart after this one, too.
      if (moment === undefined) this.#departed.push([sequence, uptimeMs, wallMs]);
      // What left later is not older, whatever clocks say.
      agoMs = Math.min(agoMs, moment === undefined ? 0 : Math.max(0, this.#agoMs(moment) - lateMs));
      this.#sample(sequence, monotonicMs - agoMs);
      if (agoMs <= this.horizonMs) for (const departure of departures) past.push({ ...departure, agoMs });
    }
    return past;
  }

  /** A round with departures is about to be written. @returns its sequence. */
  begin(departures: readonly Departure[]): number {
    const sequence = this.#nextSequence;
    this.#nextSequence += 1;
    this.#write(sequence, departures);
    this.#removeOld();
    return sequence;
  }

  /** The round's requests were written to their sockets. */
  left(sequence: number): void {
    this.#departed.push([sequence, this.#deps.uptime().ms, this.#deps.clock.nowMs()]);
  }

  /** In an orderly end the last rounds are told of as well. */
  end(): void {
    if (this.#departed.length > 0) this.begin([]);
  }

  #write(sequence: number, departures: readonly Departure[]): void {
    const { uptime, clock, journal } = this.#deps;
    const { boot, ms } = uptime();
    const senderIds: string[] = [];
    const flat: (number | string)[] = [];
    for (const { senderId, campaignNumber, phoneNumber } of departures) {
      let sender = senderIds.indexOf(senderId);
      if (sender === -1) sender = senderIds.push(senderId) - 1;
      flat.push(sender, campaignNumber, phoneNumber);
    }
    const packed: Packed = [boot, ms, clock.nowMs(), senderIds, flat, this.#departed];
    journal.setMark(keyOf(sequence), packr.pack(packed));
    this.#departed = [];
    this.#sample(sequence, clock.monotonicMs());
  }

  #removeOld(): void {
    const oldestMs = this.#deps.clock.monotonicMs() - this.horizonMs;
    for (let removed = 0; removed < REMOVED_MAX; removed++) {
      const [sample] = this.#samples;
      if (sample === undefined || sample.monotonicMs > oldestMs) return;
      this.#deps.journal.setMark(keyOf(this.#firstSequence), null);
      if (this.#firstSequence >= sample.sequence) this.#samples.shift();
      this.#firstSequence += 1;
    }
  }

  /** The last round of each second stands for all of it. */
  #sample(sequence: number, monotonicMs: number): void {
    const before = this.#samples.at(-2);
    if (before !== undefined && monotonicMs - before.monotonicMs < SAMPLE_MS) this.#samples.pop();
    this.#samples.push({ sequence, monotonicMs });
  }

  #read(): readonly Round[] {
    const rounds: Round[] = [];
    let from = PREFIX;
    for (;;) {
      const marks = this.#deps.ledger.marks({ from, to: `${PREFIX}${PREFIX_END}`, limit: PAGE_MARKS });
      for (const { key, value } of marks) rounds.push(decodeRound(key, value));
      const last = marks.at(-1);
      if (last === undefined || marks.length < PAGE_MARKS) break;
      from = `${last.key}0`;
    }
    const [first, newest] = [rounds.at(0), rounds.at(-1)];
    if (first !== undefined && newest !== undefined) {
      this.#firstSequence = first.sequence;
      this.#nextSequence = newest.sequence + 1;
      this.newestWallMs = newest.wallMs;
    }
    return rounds;
  }

  #agoMs({ boot, uptimeMs, wallMs }: Moment & { boot: string }): number {
    const now = this.#deps.uptime();
    if (boot === now.boot) return Math.max(0, now.ms - uptimeMs);
    return Math.min(now.ms, Math.max(0, this.#deps.clock.nowMs() - wallMs));
  }
}

function keyOf(sequence: number): string {
  return PREFIX + String(sequence).padStart(SEQUENCE_DIGITS, "0");
}

function decodeRound(key: string, bytes: Uint8Array): Round {
  const packed: Packed = packr.unpack(bytes);
  const [boot, uptimeMs, wallMs, senderIds, flat, departed] = packed;
  const departures: Departure[] = [];
  for (let at = 0; at + 2 < flat.length; at += 3) {
    const senderId = senderIds[Number(flat[at])] ?? "";
    departures.push({ senderId, campaignNumber: Number(flat[at + 1]), phoneNumber: String(flat[at + 2]) });
  }
  return { sequence: Number(key.slice(PREFIX.length)), boot, uptimeMs, wallMs, departures, departed };
}
