// What operators see of the flow, kept up as it flows: nothing here is ever computed by scanning messages.

import { createHistogram, type RecordableHistogram } from "node:perf_hooks";

import type { CampaignProgress, PartitionProgress } from "./actor/partition-deps.ts";
import type { Percentiles } from "./api/operators-api-deps.ts";
import { decodeMessageId, type MessageId } from "./message/ids.ts";
import { RateMeter } from "./runtime/rate-meter.ts";

/** Histograms count whole microseconds. */
const MICROSECONDS_PER_MS = 1_000;

interface CampaignFlow {
  requestsAccepted: number;
  /**
   * Accepted, but not yet seen by an actor thread. Below zero for a moment when a thread is quicker than we are: it
   * may read an event between the commit and our answer.
   */
  underWay: number;
  /** By the problem's code: bounded, because the codes are. */
  readonly refusals: Map<string, number>;
  readonly accepted: RateMeter;
  readonly dispatched: RateMeter;
  readonly settled: RateMeter;
  /** By partition; more than one only while the campaign has history under another sender. */
  readonly progress: Map<number, CampaignProgress>;
}

export class Figures {
  readonly #campaigns = new Map<number, CampaignFlow>();
  readonly #partitions = new Map<number, PartitionProgress>();
  #underWay = 0;
  readonly #ack: RecordableHistogram = createHistogram();
  readonly #response: RecordableHistogram = createHistogram();
  readonly #monotonicMs: () => number;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
  }

  /** Messages that are not brought to an end. */
  get waiting(): number {
    let sum = Math.max(0, this.#underWay);
    for (const { waiting } of this.#partitions.values()) sum += waiting;
    return sum;
  }

  accepted(campaignNumber: number, { isDuplicate, ackMs }: { isDuplicate: boolean; ackMs: number }): void {
    const flow = this.flowOf(campaignNumber);
    flow.requestsAccepted += 1;
    flow.accepted.add(1, this.#monotonicMs());
    this.#ack.record(Math.max(1, Math.round(ackMs * MICROSECONDS_PER_MS)));
    if (isDuplicate) return;
    flow.underWay += 1;
    this.#underWay += 1;
  }

  /** In a cluster: these were accepted here and have their rows now. With the embedded stream the threads count them. */
  arrived(messageIds: readonly MessageId[]): void {
    for (const id of messageIds) this.flowOf(decodeMessageId(id)?.campaignNumber ?? 0).underWay -= 1;
    this.#underWay -= messageIds.length;
  }

  refused(campaignNumber: number, code: string): void {
    const { refusals } = this.flowOf(campaignNumber);
    refusals.set(code, (refusals.get(code) ?? 0) + 1);
  }

  responded(milliseconds: readonly number[]): void {
    for (const value of milliseconds) this.#response.record(Math.max(1, Math.round(value * MICROSECONDS_PER_MS)));
  }

  progressed(progress: PartitionProgress): void {
    const nowMs = this.#monotonicMs();
    this.#partitions.set(progress.partition, progress);
    for (const campaign of progress.campaigns) {
      const flow = this.flowOf(campaign.campaignNumber);
      const before = flow.progress.get(progress.partition);
      const arrived = campaign.arrived - (before?.arrived ?? 0);
      flow.underWay -= arrived;
      this.#underWay -= arrived;
      flow.dispatched.add(campaign.dispatched - (before?.dispatched ?? 0), nowMs);
      flow.settled.add(campaign.settled - (before?.settled ?? 0), nowMs);
      flow.progress.set(progress.partition, campaign);
    }
  }

  /** The thread of these partitions starts (again): it counts from zero. */
  threadStarted(partitions: readonly number[]): void {
    for (const flow of this.#campaigns.values()) for (const partition of partitions) flow.progress.delete(partition);
  }

  oldestWaitingAtMs(campaignNumber: number): number | null {
    let oldest: number | null = null;
    for (const { oldestWaitingAtMs } of this.flowOf(campaignNumber).progress.values()) {
      if (oldestWaitingAtMs !== null && (oldest === null || oldestWaitingAtMs < oldest)) oldest = oldestWaitingAtMs;
    }
    return oldest;
  }

  /** Of the waiting ones: for a time of their own that has not come. */
  delayed(campaignNumber: number): number {
    return [...this.flowOf(campaignNumber).progress.values()].reduce((sum, { delayed }) => sum + delayed, 0);
  }

  perSecond(campaignNumber: number): { accepted: number; dispatched: number; settled: number } {
    const nowMs = this.#monotonicMs();
    const { accepted, dispatched, settled } = this.flowOf(campaignNumber);
    return {
      accepted: accepted.perSecond(nowMs),
      dispatched: dispatched.perSecond(nowMs),
      settled: settled.perSecond(nowMs),
    };
  }

  get ackMs(): Percentiles | null {
    return percentilesOf(this.#ack);
  }

  get responseMs(): Percentiles | null {
    return percentilesOf(this.#response);
  }

  flowOf(campaignNumber: number): CampaignFlow {
    const known = this.#campaigns.get(campaignNumber);
    if (known !== undefined) return known;
    const flow: CampaignFlow = {
      requestsAccepted: 0,
      underWay: 0,
      refusals: new Map(),
      accepted: new RateMeter(),
      dispatched: new RateMeter(),
      settled: new RateMeter(),
      progress: new Map(),
    };
    this.#campaigns.set(campaignNumber, flow);
    return flow;
  }
}

function percentilesOf(histogram: RecordableHistogram): Percentiles | null {
  if (histogram.count === 0) return null;
  return {
    p50: histogram.percentile(50) / MICROSECONDS_PER_MS,
    p99: histogram.percentile(99) / MICROSECONDS_PER_MS,
  };
}
