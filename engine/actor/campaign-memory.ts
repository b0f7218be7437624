// Which of a partition's messages are in memory: those in a mailbox or in flight. Bounded a lane, so that a
// marketing backlog of any size leaves room for the transactional message behind it.

import { decodeMessageId, MESSAGE_ID_LENGTH, type MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import { isSettled, type MessageStatus } from "../message/status.ts";
import type { QueuedCampaign } from "./disk-queue.ts";
import type { CampaignState } from "./message-journal.ts";
import type { CampaignProgress, PartitionCampaign } from "./partition-deps.ts";

/** Records in memory a lane; the rest of the backlog is rows on disk. */
export const LIVE_RECORDS_MAX = 16_384;

export interface Campaign extends QueuedCampaign {
  definition: PartitionCampaign;
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

  #waiting = 0;

  constructor(states: readonly CampaignState[]) {
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
      this.#liveByLane[known.definition.settings.lane] -= known.liveIds.size;
      this.#liveByLane[lane] += known.liveIds.size;
      known.definition = definition;
      return known;
    }
    const state = this.#states.get(campaignNumber) ?? newState(campaignNumber);
    const campaign = {
      definition,
      state,
      liveIds: new Set<MessageId>(),
      leftUncommitted: 0,
      leftInBatch: 0,
      waiting: waitingOf(state),
      arrived: 0,
      dispatched: 0,
      settled: 0,
    };
    this.#campaigns.set(campaignNumber, campaign);
    return campaign;
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
    return LIVE_RECORDS_MAX - this.#liveByLane[campaign.definition.settings.lane];
  }

  add(campaign: Campaign, record: MessageRecord): void {
    const { state, liveIds } = campaign;
    this.#live.set(record.messageId, record);
    liveIds.add(record.messageId);
    this.#liveByLane[campaign.definition.settings.lane] += 1;
    if (record.messageId > state.tailId) state.tailId = record.messageId;
  }

  get size(): number {
    return this.#live.size;
  }

  /** The newer state of a record; one that is not in memory is left out. */
  replace(record: MessageRecord): void {
    if (this.#live.has(record.messageId)) this.#live.set(record.messageId, record);
  }

  remove(campaign: Campaign, id: MessageId): void {
    if (!this.#live.delete(id)) return;
    campaign.liveIds.delete(id);
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

  progressOf(campaignNumber: number): CampaignProgress | null {
    const campaign = this.#campaigns.get(campaignNumber);
    if (campaign === undefined) return null;
    const { state, arrived, waiting, dispatched, settled } = campaign;
    const oldest = waiting > 0 ? decodeMessageId(state.headId.slice(0, MESSAGE_ID_LENGTH)) : null;
    const oldestWaitingAtMs = oldest?.acceptedAtMs ?? null;
    return { campaignNumber, arrived, waiting, oldestWaitingAtMs, dispatched, settled };
  }

  /** Nothing that is queued or on its way lies before the oldest message in memory. */
  moveHead(campaignNumber: number): void {
    const campaign = this.#campaigns.get(campaignNumber);
    if (campaign === undefined) return;
    const { state, liveIds } = campaign;
    const [oldest] = liveIds;
    const first = oldest ?? `${state.tailId}0`;
    state.headId = state.diskFromId !== "" && state.diskFromId < first ? state.diskFromId : first;
  }
}

function waitingOf(state: CampaignState): number {
  let waiting = 0;
  for (const [status, count] of Object.entries(state.counters.byStatus)) {
    if (!isSettled(status as MessageStatus)) waiting += count;
  }
  return waiting;
}

function newState(campaignNumber: number): CampaignState {
  return {
    campaignNumber,
    headId: "",
    diskFromId: "",
    tailId: "",
    counters: { accepted: 0, byStatus: {}, byError: {} },
  };
}
