// Which of a partition's messages are in memory: those in a mailbox or in flight. Bounded a lane, so that a
// marketing backlog of any size leaves room for the transactional message behind it.

import type { AcceptedEvent } from "../message/event.ts";
import { decodeMessageId, MESSAGE_ID_LENGTH, type MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import { isSettled, MESSAGE_STATUSES, type MessageStatus } from "../message/status.ts";
import { NO_ID, type QueuedCampaign } from "./disk-queue.ts";
import type { CampaignState } from "./message-journal.ts";
import type { CampaignProgress, PartitionCampaign } from "./partition-deps.ts";

export interface MemoryBounds {
  /** Records in memory a lane; the rest of the backlog is rows on disk. */
  readonly liveRecordsMax: number;
  /** What each campaign may hold even when its lane is full, so that paused and slow ones starve nobody. */
  readonly liveShareMin: number;
  /** Rows read back from disk at once. */
  readonly refillRowsMax: number;
}

export const MEMORY_BOUNDS: MemoryBounds = { liveRecordsMax: 16_384, liveShareMin: 16, refillRowsMax: 256 };

export interface Campaign extends QueuedCampaign {
  definition: PartitionCampaign;
  /** Whose number it used before, if another: sends of that time are still its own. */
  formerSenderId: string | null;
  /** Ids in memory that came from the due index: a restart finds them there, so the head mark need not cover them. */
  readonly dueIds: Set<MessageId>;
  /** An id came after a greater one (the clock was set back), so the first of `liveIds` may not be the least. */
  isDisordered: boolean;
  /** Of those in memory since it was last empty; empty before the first. */
  greatestLiveId: string;
  /** Not yet brought to an end. */
  waiting: number;
  /** Since the thread started, like the next two. */
  arrived: number;
  dispatched: number;
  settled: number;
}

export class CampaignMemory {
  readonly #campaigns = new Map<number, Campaign>();
  readonly #states = new Map<number, CampaignState>();
  readonly #live = new Map<MessageId, MessageRecord>();
  readonly #liveByLane = { transactional: 0, marketing: 0 };

  readonly #bounds: MemoryBounds;
  #waiting = 0;

  constructor(states: readonly CampaignState[], bounds: MemoryBounds) {
    this.#bounds = bounds;
    for (const state of states) {
      this.#states.set(state.campaignNumber, state);
      this.#waiting += waitingOf(state);
    }
  }

  /** Adds the campaign, or gives a known one its new definition. */
  define(definition: PartitionCampaign): Campaign {
    const { campaignNumber, lane } = definition.settings;
    const known = this.#campaigns.get(campaignNumber);
    if (known !== undefined) {
      this.#liveByLane[known.definition.settings.lane] -= this.sizeOf(known);
      this.#liveByLane[lane] += this.sizeOf(known);
      if (known.definition.senderId !== definition.senderId) known.formerSenderId = known.definition.senderId;
      known.definition = definition;
      return known;
    }
    const state = this.#states.get(campaignNumber) ?? newState(campaignNumber);
    const campaign = {
      definition,
      formerSenderId: null,
      isDisordered: false,
      greatestLiveId: "",
      state,
      liveIds: new Set<MessageId>(),
      dueIds: new Set<MessageId>(),
      leftUncommitted: 0,
      leftInBatch: 0,
      leftFromId: NO_ID,
      leftInBatchFromId: NO_ID,
      waiting: waitingOf(state),
      arrived: 0,
      dispatched: 0,
      settled: 0,
    };
    this.#campaigns.set(campaignNumber, campaign);
    return campaign;
  }

  /** The number of a campaign of these events that nobody has defined here; null when all are known. */
  strangerOf(events: readonly AcceptedEvent[]): number | null {
    const stranger = events.find((event) => this.campaignOf(event.messageId) === undefined);
    return stranger === undefined ? null : (decodeMessageId(stranger.messageId)?.campaignNumber ?? 0);
  }

  /** Whether the ledger holds messages of the campaign. */
  hasState(campaignNumber: number): boolean {
    return this.#states.has(campaignNumber);
  }

  all(): Iterable<Campaign> {
    return this.#campaigns.values();
  }

  get(campaignNumber: number): Campaign | undefined {
    return this.#campaigns.get(campaignNumber);
  }

  campaignOf(id: MessageId): Campaign | undefined {
    return this.#campaigns.get(decodeMessageId(id)?.campaignNumber ?? 0);
  }

  record(id: MessageId): MessageRecord | undefined {
    return this.#live.get(id);
  }

  room(campaign: Campaign): number {
    const { liveRecordsMax, liveShareMin } = this.#bounds;
    const laneRoom = liveRecordsMax - this.#liveByLane[campaign.definition.settings.lane];
    return Math.max(laneRoom, liveShareMin - this.sizeOf(campaign));
  }

  add(campaign: Campaign, record: MessageRecord): void {
    this.#live.set(record.messageId, record);
    this.#liveByLane[campaign.definition.settings.lane] += 1;
    if (record.dueAtMs > 0) campaign.dueIds.add(record.messageId);
    else addLive(campaign, record.messageId);
  }

  get size(): number {
    return this.#live.size;
  }

  /** Messages of the campaign in memory. */
  sizeOf({ liveIds, dueIds }: Campaign): number {
    return liveIds.size + dueIds.size;
  }

  /** The newer state of a record; one that is not in memory is left out. */
  replace(record: MessageRecord): void {
    if (this.#live.has(record.messageId)) this.#live.set(record.messageId, record);
  }

  remove(campaign: Campaign, id: MessageId): void {
    if (!this.#live.delete(id)) return;
    if (!campaign.liveIds.delete(id)) campaign.dueIds.delete(id);
    this.#liveByLane[campaign.definition.settings.lane] -= 1;
  }

  /** Messages of all campaigns that are not yet brought to an end: the backlog. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Keeps the counts of one change of status; `before` is null for a new message. */
  count(campaign: Campaign, before: MessageStatus | null, after: MessageStatus): void {
    const wasWaiting = before !== null && !isSettled(before);
    const change = Number(!isSettled(after)) - Number(wasWaiting);
    campaign.waiting += change;
    this.#waiting += change;
    if (wasWaiting && isSettled(after)) campaign.settled += 1;
  }

  progressOf(campaignNumber: number): Omit<CampaignProgress, "delayed"> | null {
    const campaign = this.#campaigns.get(campaignNumber);
    if (campaign === undefined) return null;
    const { state, arrived, waiting, dispatched, settled } = campaign;
    return { campaignNumber, arrived, waiting, oldestWaitingAtMs: oldestWaitingAt(state), dispatched, settled };
  }

  /** Nothing that is queued or on its way lies before the oldest message in memory. */
  moveHead(campaignNumber: number): void {
    const campaign = this.#campaigns.get(campaignNumber);
    if (campaign === undefined) return;
    const { state } = campaign;
    const first = oldestOf(campaign) ?? afterTail(state);
    state.headId = state.diskFromId !== "" && state.diskFromId < first ? state.diskFromId : first;
  }
}

function addLive(campaign: Campaign, id: MessageId): void {
  const { state, liveIds } = campaign;
  if (liveIds.size === 0) {
    campaign.isDisordered = false;
    campaign.greatestLiveId = "";
  }
  if (id > campaign.greatestLiveId) campaign.greatestLiveId = id;
  else campaign.isDisordered = true;
  liveIds.add(id);
  if (id > state.tailId) state.tailId = id;
}

function oldestOf({ liveIds, isDisordered }: Campaign): MessageId | undefined {
  let [oldest] = liveIds;
  if (oldest === undefined || !isDisordered) return oldest;
  for (const id of liveIds) if (id < oldest) oldest = id;
  return oldest;
}

function afterTail({ tailId }: CampaignState): string {
  return `${tailId}0`;
}

/** Acceptance of the oldest message in a queue or on its way; null when all that waits, waits for a time. */
export function oldestWaitingAt(state: CampaignState): number | null {
  if (state.headId === afterTail(state)) return null;
  return decodeMessageId(state.headId.slice(0, MESSAGE_ID_LENGTH))?.acceptedAtMs ?? null;
}

/** Messages of a campaign that are not yet brought to an end. */
export function waitingOf(state: CampaignState): number {
  let waiting = 0;
  for (const status of MESSAGE_STATUSES) {
    if (!isSettled(status)) waiting += state.counters.byStatus[status] ?? 0;
  }
  return waiting;
}

function newState(campaignNumber: number): CampaignState {
  return {
    campaignNumber,
    headId: "",
    diskFromId: "",
    tailId: "",
    counters: { accepted: 0, byStatus: {}, byError: {}, doubleSends: 0 },
  };
}
