// Brings messages into the mailboxes of the actors, as far as there is room: new ones, those that wait on disk, and those
// whose time has come. What finds no room stays a row in the ledger.

import type { MessageRecord } from "../message/message-record.ts";
import type { Campaign, CampaignMemory, MemoryBounds } from "./campaign-memory.ts";
import type { DelayBook } from "./delay-book.ts";
import type { DeliverySweep } from "./delivery-sweep.ts";
import type { DiskQueue } from "./disk-queue.ts";
import type { DueQueue } from "./due-queue.ts";
import type { EffectPerformer } from "./effect-performer.ts";
import type { MessageJournal } from "./message-journal.ts";
import type { OverdueQueue } from "./overdue-queue.ts";
import type { DueEntry, PartitionDeps } from "./partition-deps.ts";
import { recoverCampaign } from "./partition-recovery.ts";
import * as transition from "./record-transition.ts";
import { mailboxRoom } from "./sender-actor.ts";
import type { SenderDesk } from "./sender-desk.ts";

/** What a campaign's new settings may free was told to wait no longer than this: quiet hours end within a day. */
const WOKEN_AHEAD_MS = 25 * 3_600_000;

/** Below this part of a full refill's room a refill is not worth its read. */
const REFILL_ROOM_PART = 4;

export interface MailboxFeedDeps extends Pick<PartitionDeps, "ledger" | "partition" | "clock"> {
  readonly bounds: MemoryBounds;
  readonly journal: MessageJournal;
  readonly memory: CampaignMemory;
  readonly disk: DiskQueue<Campaign>;
  readonly due: DueQueue;
  readonly overdue: OverdueQueue<Campaign>;
  readonly delays: DelayBook;
  readonly deliveries: DeliverySweep;
  readonly senders: SenderDesk;
  readonly performer: EffectPerformer;
}

export class MailboxFeed {
  readonly #deps: MailboxFeedDeps;
  /** Campaigns whose waiting rows are asked for before their time, and up to which time of the due index. */
  readonly #wokenThroughMs = new Map<Campaign, number>();

  constructor(deps: MailboxFeedDeps) {
    this.#deps = deps;
  }

  /** A message is new. */
  place(campaign: Campaign, record: MessageRecord): void {
    const { performer, due, disk } = this.#deps;
    if (record.status === "dispatched") performer.doubt(campaign, record);
    else if (campaign.definition.isRemoved) performer.endRemoved(campaign, record);
    else if (record.dueAtMs > 0) due.note(record.dueAtMs);
    else if (campaign.state.diskFromId === "" && this.#room(campaign) > 0) this.#offer(campaign, record);
    else disk.leave(campaign, record.messageId);
  }

  /** @returns true when there is room for more at once. */
  refill(): boolean {
    const { disk, overdue, memory, clock } = this.#deps;
    const nowMs = clock.nowMs();
    const hasMoreDue = overdue.refill({
      throughMs: (campaign) =>
        campaign.definition.isRemoved ? Number.MAX_SAFE_INTEGER : (this.#wokenThroughMs.get(campaign) ?? nowMs),
      hasRoom: (campaign) => this.#isWorthwhile(campaign),
      campaignOf: ({ messageId }) => memory.campaignOf(messageId),
      offer: (entry) => this.#bringUp(entry, nowMs),
    });
    for (const campaign of this.#wokenThroughMs.keys()) {
      if (overdue.oldestAtMs(campaign) === null) this.#wokenThroughMs.delete(campaign);
    }
    const hasMoreOnDisk = disk.refill(
      (campaign) => this.#room(campaign),
      (campaign, row) => this.#load(campaign, row),
    );
    return hasMoreDue || hasMoreOnDisk;
  }

  /** What still waits of a removed campaign ends, on disk and for a time. */
  endWaiting(campaign: Campaign): void {
    this.#deps.disk.resume(campaign);
    if (campaign.waiting > 0) this.#deps.overdue.leaveAll(campaign);
  }

  /** What its old settings told to wait (quiet hours) asks the new ones. */
  wake(campaign: Campaign): void {
    if (campaign.waiting === 0) return;
    this.#wokenThroughMs.set(campaign, this.#deps.clock.nowMs() + WOKEN_AHEAD_MS);
    this.#deps.overdue.leaveAll(campaign);
  }

  /** Rows whose time has come. */
  bringUpDue(): void {
    const { due, clock } = this.#deps;
    const nowMs = clock.nowMs();
    for (const entry of due.read(nowMs, this.dueRoom)) this.#bringUp(entry, nowMs);
  }

  /** Rows that come due find room beside both lanes' own. */
  get dueRoom(): number {
    return this.#deps.bounds.liveRecordsMax * 3 - this.#deps.memory.size;
  }

  /** After a restart, and for a campaign that was not known at it. */
  recover(campaign: Campaign): void {
    const { ledger, partition, performer, disk } = this.#deps;
    for (const record of recoverCampaign(campaign, ledger, partition)) performer.doubt(campaign, record);
    disk.resume(campaign);
  }

  #room(campaign: Campaign): number {
    const { bounds, senders, memory } = this.#deps;
    const { senderId, settings, isRemoved } = campaign.definition;
    if (isRemoved) return bounds.refillRowsMax;
    return Math.min(mailboxRoom(senders.get(senderId).actor, settings.campaignNumber), memory.room(campaign));
  }

  /** Of a mailbox only, beside both lanes' own room. */
  #dueRoomOf({ definition: { senderId, settings, isRemoved } }: Campaign): number {
    if (isRemoved) return this.#deps.bounds.refillRowsMax;
    const room = mailboxRoom(this.#deps.senders.get(senderId).actor, settings.campaignNumber);
    return Math.min(room, this.dueRoom);
  }

  #isWorthwhile(campaign: Campaign): boolean {
    const room = this.#dueRoomOf(campaign);
    const isIdle = this.#deps.memory.sizeOf(campaign) === 0;
    return room >= this.#deps.bounds.refillRowsMax / REFILL_ROOM_PART || (room > 0 && isIdle);
  }

  #offer(campaign: Campaign, record: MessageRecord): void {
    this.#deps.memory.add(campaign, record);
    this.#deps.senders.give(campaign.definition.senderId, {
      kind: "offered",
      dispatch: transition.dispatchOf(record, campaign.state.campaignNumber),
    });
  }

  /** A row that was left on disk may have moved on since: only one that is still queued is taken. */
  #load(campaign: Campaign, row: MessageRecord): void {
    const { journal, memory, performer } = this.#deps;
    const record = journal.pending(row.messageId) ?? row;
    if (record.status !== "queued" || record.dueAtMs !== 0 || memory.record(record.messageId)) return;
    if (campaign.definition.isRemoved) performer.endRemoved(campaign, record);
    else if (record.dispatchedAtMs === 0) this.#offer(campaign, record);
    else this.#giveDue(campaign, record, "queued");
  }

  /** @param nowMs what the entry was read by: a clock that is set meanwhile must not turn it away. */
  #bringUp(entry: DueEntry, nowMs: number): void {
    const { journal, memory, performer, delays, deliveries, overdue } = this.#deps;
    const record = journal.get(entry.messageId);
    const campaign = memory.campaignOf(entry.messageId);
    if (record === undefined || campaign === undefined) return;
    if (record.dueAtMs !== entry.dueAtMs || memory.record(record.messageId)) return;
    const { status } = record;
    const { isRemoved } = campaign.definition;
    if (entry.dueAtMs > nowMs) {
      // Woken: a rule's wait may be over, a time that the event itself named is not.
      const isWoken = !isRemoved && status === "queued" && record.sendAtMs <= nowMs;
      if (isWoken) this.#giveDue(campaign, record, status);
      // Of a removed campaign all ends but what a status may still tell of.
      if (!isRemoved || status === "uncertain") return;
    }
    // Those of a removed campaign end before their time, and in no order.
    if (!isRemoved) delays.cameDue(campaign.state.campaignNumber, entry, record);
    // Nobody holds it: the run that dispatched it crashed.
    if (status === "dispatched") performer.doubt(campaign, record);
    else if (status === "sent" || status === "held") deliveries.settle(campaign, record);
    else if (isRemoved) performer.endRemoved(campaign, record);
    else if (status === "uncertain") this.#giveDue(campaign, record, status);
    else if (status === "queued" || status === "retrying") {
      if (this.#dueRoomOf(campaign) > 0) this.#giveDue(campaign, record, status);
      else overdue.leave(campaign, entry);
    }
  }

  #giveDue(campaign: Campaign, record: MessageRecord, status: "queued" | "retrying" | "uncertain"): void {
    this.#deps.memory.add(campaign, record);
    this.#deps.senders.give(campaign.definition.senderId, {
      kind: "due",
      dispatch: transition.dispatchOf(record, campaign.state.campaignNumber),
      status,
    });
  }
}
