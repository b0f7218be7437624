// Finds the messages that WhatsApp took and silently dropped: when a template's time to live ends before the phone was
// reached, no status tells so. There is no timer a message: each campaign's rows are walked once in their life, in order
// of acceptance, as far as their time for a delivery has passed for certain.
//
//   sweep/<campaign>   up to which id the rows were walked
//
// A row that WhatsApp took later than that (it had waited) gets a time in the due index. So does one that it takes after
// the walk went over it.

import { Buffer } from "node:buffer";

import { campaignPrefix, firstIdAt } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { Campaign, CampaignMemory } from "./campaign-memory.ts";
import type { MessageJournal } from "./message-journal.ts";
import type { PartitionDeps } from "./partition-deps.ts";
import { type Finish, takenAtMs } from "./record-transition.ts";

/** Rows looked at in one turn, and campaigns. */
const ROWS_MAX = 256;
const CAMPAIGNS_MAX = 64;
/** Between two walks, and between two turns of one: 12,800 rows a second, so that a long pause is made up for. */
const WALK_REST_MS = 60_000;
const TURN_REST_MS = 20;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

export interface DeliverySweepDeps extends Pick<PartitionDeps, "partition" | "ledger" | "clock"> {
  readonly journal: MessageJournal;
  readonly memory: CampaignMemory;
  /** The message ends; no actor holds it. */
  end(campaign: Campaign, record: MessageRecord, finish: Finish): void;
  /** The message is looked at again at `dueAtMs`. */
  watch(campaign: Campaign, record: MessageRecord, dueAtMs: number): void;
}

export class DeliverySweep {
  /** When {@link turn} has something to do, monotonic milliseconds. */
  nextMonotonicMs = 0;
  readonly #deps: DeliverySweepDeps;
  readonly #sweptIds = new Map<number, string>();
  #walk: Campaign[] = [];

  constructor(deps: DeliverySweepDeps) {
    this.#deps = deps;
  }

  /** A bounded part of the walk. */
  turn(): void {
    const { clock, memory } = this.#deps;
    const monotonicMs = clock.monotonicMs();
    if (monotonicMs < this.nextMonotonicMs) return;
    if (this.#walk.length === 0) this.#walk = [...memory.all()];
    let rows = 0;
    for (let looked = 0; looked < CAMPAIGNS_MAX && rows < ROWS_MAX; looked++) {
      const campaign = this.#walk.at(-1);
      if (campaign === undefined) break;
      const limit = ROWS_MAX - rows;
      const walked = this.#walkOver(campaign, limit);
      rows += walked;
      if (walked < limit) this.#walk.pop();
    }
    this.nextMonotonicMs = monotonicMs + (this.#walk.length === 0 ? WALK_REST_MS : TURN_REST_MS);
  }

  /** When a message that WhatsApp has just taken must be looked at again; 0: the walk will come to it. */
  dueAtMs(campaign: Campaign, record: MessageRecord): number {
    if (!isUnderWay(record) || record.messageId >= this.#sweptIdOf(campaign)) return 0;
    return takenAtMs(record) + campaign.definition.deliveryTimeoutMs;
  }

  /** A row's time has come: it ends, or, where the time has become longer meanwhile, waits on. */
  settle(campaign: Campaign, record: MessageRecord): void {
    if (!isUnderWay(record)) return;
    const { deliveryTimeoutMs } = campaign.definition;
    const endMs = takenAtMs(record) + deliveryTimeoutMs;
    if (endMs <= this.#deps.clock.nowMs()) this.#deps.end(campaign, record, droppedAfter(deliveryTimeoutMs));
    else if (record.dueAtMs !== endMs) this.#deps.watch(campaign, record, endMs);
  }

  /** @returns how many rows it walked over; fewer than the limit once it is through. */
  #walkOver(campaign: Campaign, limit: number): number {
    const { partition, ledger, journal, memory, clock } = this.#deps;
    const { campaignNumber } = campaign.state;
    const to = firstIdAt(partition, campaignNumber, clock.nowMs() - campaign.definition.deliveryTimeoutMs);
    const from = this.#sweptIdOf(campaign);
    if (from >= to) return 0;
    const rows = ledger.records({ from, to, limit });
    for (const row of rows) {
      const record = journal.pending(row.messageId) ?? row;
      if (record.dueAtMs === 0 && memory.record(record.messageId) === undefined) this.settle(campaign, record);
    }
    const last = rows.at(-1);
    const sweptId = last !== undefined && rows.length === limit ? `${last.messageId}0` : to;
    this.#sweptIds.set(campaignNumber, sweptId);
    if (last !== undefined) journal.setMark(keyOf(campaignNumber), Buffer.from(sweptId, "latin1"));
    return rows.length;
  }

  /** No row before it is to be walked over. */
  #sweptIdOf({ state: { campaignNumber } }: Campaign): string {
    const known = this.#sweptIds.get(campaignNumber);
    if (known !== undefined) return known;
    const bytes = this.#deps.journal.mark(keyOf(campaignNumber));
    const sweptId =
      bytes === undefined
        ? campaignPrefix(this.#deps.partition, campaignNumber)
        : Buffer.from(bytes).toString("latin1");
    this.#sweptIds.set(campaignNumber, sweptId);
    return sweptId;
  }
}

/** WhatsApp has it and has not reported a delivery. */
function isUnderWay({ status }: MessageRecord): boolean {
  return status === "sent" || status === "held";
}

function droppedAfter(timeoutMs: number): Finish {
  const reason = `WhatsApp reported no delivery within ${durationText(timeoutMs)}; it is taken as dropped.`;
  return { status: "expired", errorCode: null, reason };
}

function durationText(durationMs: number): string {
  if (durationMs >= 2 * DAY_MS) return `${Math.round(durationMs / DAY_MS)} days`;
  if (durationMs >= 2 * HOUR_MS) return `${Math.round(durationMs / HOUR_MS)} hours`;
  return `${Math.round(durationMs / MINUTE_MS)} minutes`;
}

function keyOf(campaignNumber: number): string {
  return `sweep/${campaignNumber}`;
}
