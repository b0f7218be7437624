// Turns what the sender actors decide into records and requests: the hands of the partition.

import assert from "node:assert/strict";

import type { Attributes } from "../message/event.ts";
import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import { isSettled } from "../message/status.ts";
import type { SendRoute, Verdict } from "../message/verdict.ts";
import type { Campaign, CampaignMemory } from "./campaign-memory.ts";
import type { CancelDesk } from "./cancel-desk.ts";
import type { DelayBook } from "./delay-book.ts";
import type { DeliverySweep } from "./delivery-sweep.ts";
import type { Departure } from "./departure-trail.ts";
import type { DiskQueue } from "./disk-queue.ts";
import type { DueQueue } from "./due-queue.ts";
import type { MessageJournal } from "./message-journal.ts";
import type { PartitionDeps, Rendering } from "./partition-deps.ts";
import * as transition from "./record-transition.ts";
import type { SenderEffect } from "./sender-messages.ts";
import type { SeatedSender, SenderDesk } from "./sender-desk.ts";
import type { SenderReports } from "./sender-reports.ts";

/** A request that leaves once its record is on disk. */
export interface Intent extends Departure {
  readonly messageId: MessageId;
  readonly attempt: number;
  readonly route: SendRoute;
  readonly sender: SeatedSender;
  readonly campaign: Campaign;
  readonly rendering: Rendering;
}

export interface EffectPerformerDeps extends Pick<
  PartitionDeps,
  "clock" | "log" | "send" | "noteUnknownCode" | "noteStaleTemplate"
> {
  readonly journal: MessageJournal;
  readonly memory: CampaignMemory;
  readonly disk: DiskQueue<Campaign>;
  readonly due: DueQueue;
  readonly senders: SenderDesk;
  readonly cancels: CancelDesk;
  readonly delays: DelayBook;
  readonly deliveries: DeliverySweep;
  readonly reports: SenderReports;
  /** An actor was given something: a round is needed. */
  onInput(): void;
}

type DispatchEffect = Extract<SenderEffect, { kind: "dispatch" }>;

export class EffectPerformer {
  /** Once set nothing more is dispatched: without an intent a row simply stays queued for the next run. */
  isStopping = false;
  inFlight = 0;
  readonly #deps: EffectPerformerDeps;
  #intents: Intent[] = [];
  #isTakingBack = false;

  constructor(deps: EffectPerformerDeps) {
    this.#deps = deps;
  }

  perform(sender: SeatedSender, effect: SenderEffect): void {
    switch (effect.kind) {
      case "wake":
        sender.wakeMonotonicMs = effect.atMonotonicMs;
        return;
      case "blocked":
        this.#deps.log.warn("sender.blocked", { senderId: sender.id, ...effect });
        this.#deps.reports.blocked(sender.id, effect);
        return;
      case "unblocked":
        this.#deps.log.info("sender.unblocked", { senderId: sender.id, ...effect });
        this.#deps.reports.unblocked(sender.id, effect);
        return;
      case "rate":
        this.#deps.log.info("sender.rate", { senderId: sender.id, messagesPerSecond: effect.messagesPerSecond });
        this.#deps.reports.rated(sender.id, effect.messagesPerSecond);
        return;
      case "room":
        return;
      case "dispatch":
      case "accepted":
      case "returned":
      case "park":
      case "finish":
        this.#performOnMessage(sender, effect);
    }
  }

  /** Replaces a record that no actor holds from now on, and keeps memory, journal and due queue in step with it. */
  store(campaign: Campaign, before: MessageRecord, after: MessageRecord): void {
    this.#change(campaign, before, after);
    this.#deps.memory.remove(campaign, after.messageId);
    if (after.dueAtMs > 0) this.#deps.due.note(after.dueAtMs);
  }

  /** Replaces a record that stays where it is: in its mailbox, in flight, in the due index, or nowhere. */
  amend(campaign: Campaign, before: MessageRecord, after: MessageRecord): void {
    this.#change(campaign, before, after);
    this.#deps.memory.replace(after);
  }

  /** A message that no actor holds is looked at again then. */
  watch(campaign: Campaign, record: MessageRecord, dueAtMs: number): void {
    this.store(campaign, record, { ...record, dueAtMs });
  }

  /** Ends a message wherever it is; one in a mailbox stays there until its turn, when the rules let go of it. */
  end(record: MessageRecord, finish: transition.Finish): void {
    const { memory, clock } = this.#deps;
    const campaign = memory.campaignOf(record.messageId);
    assert.ok(campaign !== undefined, `the campaign of ${record.messageId} is known`);
    this.amend(campaign, record, transition.finishedRecord(record, finish, clock.nowMs()));
  }

  finish(campaign: Campaign, before: MessageRecord, finish: transition.Finish): void {
    this.store(campaign, before, transition.finishedRecord(before, finish, this.#deps.clock.nowMs()));
  }

  /** The message of a removed campaign. */
  endRemoved(campaign: Campaign, record: MessageRecord): void {
    this.finish(campaign, record, transition.removedFinish(record.status));
  }

  /** A crash left the row without its verdict: it waits for a status that proves the send. */
  doubt(campaign: Campaign, record: MessageRecord): void {
    const nowMs = this.#deps.clock.nowMs();
    const dueAtMs = nowMs + campaign.definition.settings.uncertain.waitMs;
    this.store(campaign, record, transition.interruptedRecord(record, dueAtMs, nowMs));
  }

  /** Queues failed messages anew, `maxPerSecond` of them a second, and counts them. */
  replay(ids: readonly MessageId[], maxPerSecond: number): number {
    const { journal, memory, clock } = this.#deps;
    const nowMs = clock.nowMs();
    let count = 0;
    for (const id of ids) {
      const record = journal.get(id);
      const campaign = memory.campaignOf(id);
      if (record === undefined || campaign === undefined || !transition.isReplayable(record, nowMs)) continue;
      if (memory.record(id) !== undefined) continue;
      const dueAtMs = nowMs + 1 + Math.floor((count * 1_000) / maxPerSecond);
      this.store(campaign, record, transition.replayedRecord(record, dueAtMs, nowMs));
      count += 1;
    }
    return count;
  }

  /** While the call makes an actor give up a campaign, what it has not sent goes back to where it was read from. */
  takeBack(call: () => void): void {
    this.#isTakingBack = true;
    call();
    this.#isTakingBack = false;
  }

  takeIntents(): readonly Intent[] {
    const intents = this.#intents;
    this.#intents = [];
    return intents;
  }

  /** The intents are on disk: their requests may leave. */
  send(intents: readonly Intent[]): void {
    if (intents.length === 0) return;
    const monotonicMs = this.#deps.clock.monotonicMs();
    const counts = new Map<SeatedSender, number>();
    for (const intent of intents) {
      this.#sendOne(intent, monotonicMs);
      counts.set(intent.sender, (counts.get(intent.sender) ?? 0) + 1);
    }
    for (const [sender, count] of counts) this.#deps.senders.step(sender, { kind: "departed", monotonicMs, count });
  }

  #sendOne(intent: Intent, sentMonotonicMs: number): void {
    const { messageId, attempt, sender, campaign, rendering } = intent;
    if (!this.#isUnderWay(messageId, attempt)) {
      this.#dropIntent(intent);
      return;
    }
    const answer = (verdict: Verdict, writtenAtMs: number | null = null): void => {
      this.inFlight -= 1;
      this.noteNews(verdict);
      const answeredMonotonicMs = this.#deps.clock.monotonicMs();
      // Proved or failed by a status meanwhile, perhaps replayed since: this answer is about nothing any more.
      if (this.#isUnderWay(messageId, attempt)) {
        this.#deps.senders.step(sender, {
          kind: "verdict",
          messageId,
          attempt,
          verdict: verdictFor(campaign, sender, verdict),
          // It may have waited for a connection: Meta counts when it came.
          sentMonotonicMs: writtenAtMs ?? sentMonotonicMs,
          answeredMonotonicMs,
        });
      }
      this.#deps.onInput();
    };
    this.inFlight += 1;
    if (rendering.kind === "unrenderable") {
      answer({ kind: "rejected", errorCode: null, reason: rendering.reason });
      return;
    }
    campaign.dispatched += 1;
    this.#deps.send({ senderId: sender.id, body: rendering.request, route: intent.route }, answer);
  }

  /** What an answer or a status tells beside its message. */
  noteNews(verdict: Verdict): void {
    const { noteUnknownCode, noteStaleTemplate } = this.#deps;
    if ("isUnknownCode" in verdict && verdict.errorCode !== null) noteUnknownCode(verdict.errorCode);
    if ("isTemplateStale" in verdict) noteStaleTemplate();
  }

  #change(campaign: Campaign, before: MessageRecord, after: MessageRecord): void {
    const { journal, memory, cancels, delays } = this.#deps;
    journal.change(before, after, campaign.state);
    memory.count(campaign, before.status, after.status);
    if (after.waitKey !== "") cancels.moved(before, after);
    if (after.sendAtMs > 0) delays.moved(campaign.state.campaignNumber, before, after);
  }

  /** A status webhook proved a send of the message, so this one is not needed. */
  #dropIntent({ messageId, sender, campaign }: Intent): void {
    const record = this.#deps.memory.record(messageId);
    if (record === undefined || !isSettled(record.status)) return;
    this.#deps.memory.remove(campaign, messageId);
    this.#deps.senders.step(sender, { kind: "proved", messageId });
  }

  #isUnderWay(messageId: MessageId, attempt: number): boolean {
    const record = this.#deps.memory.record(messageId);
    return record?.status === "dispatched" && record.attempts === attempt;
  }

  #performOnMessage(sender: SeatedSender, effect: Extract<SenderEffect, { messageId: MessageId }>): void {
    const { memory, clock } = this.#deps;
    const campaign = memory.campaignOf(effect.messageId);
    const record = memory.record(effect.messageId);
    assert.ok(campaign && record, `the actor decided on ${effect.messageId}, which is not in memory`);
    const nowMs = clock.nowMs();
    if (isSettled(record.status)) {
      this.#letGo(sender, campaign, effect);
      return;
    }
    switch (effect.kind) {
      case "dispatch":
        this.#dispatch(sender, campaign, record, effect);
        return;
      case "accepted": {
        const taken = transition.takenRecord(record, effect, nowMs);
        const dueAtMs = this.#deps.deliveries.dueAtMs(campaign, taken);
        this.store(campaign, record, dueAtMs === 0 ? taken : { ...taken, dueAtMs });
        return;
      }
      case "returned": {
        // A row that came from the due index stays findable there: it may lie before the campaign's head mark.
        const waiting = { ...effect, status: "queued", dueAtMs: 0 } as const;
        const after = transition.parkedRecord(record, waiting, nowMs);
        this.amend(campaign, record, { ...after, dueAtMs: record.dueAtMs });
        return;
      }
      case "park": {
        // Only put off again: nothing happened that the timeline should tell.
        const { dueAtMs, status, reason } = effect;
        const isPutOff =
          effect.isPostponed || (status === record.status && reason !== "" && reason === record.errorReason);
        const after = isPutOff ? { ...record, dueAtMs } : transition.parkedRecord(record, effect, nowMs);
        this.store(campaign, record, after);
        return;
      }
      case "finish":
        if (this.#isTakingBack) this.#putBack(campaign, record);
        else this.finish(campaign, record, effect);
    }
  }

  /** The actor decided on a message that a status proved while it waited for its first dispatch. */
  #letGo(sender: SeatedSender, campaign: Campaign, effect: Extract<SenderEffect, { messageId: MessageId }>): void {
    const { messageId } = effect;
    if (effect.kind !== "dispatch") {
      this.#deps.memory.remove(campaign, messageId);
      return;
    }
    // It takes its turn as an intent, because departures are counted in order.
    const rendering = { kind: "unrenderable", reason: "" } as const;
    this.#intend(sender, campaign, effect, { phoneNumber: "", rendering });
    this.#deps.journal.touch(campaign.state);
  }

  #intend(
    sender: SeatedSender,
    campaign: Campaign,
    { messageId, attempt, route }: DispatchEffect,
    { phoneNumber, rendering }: Pick<Intent, "phoneNumber" | "rendering">,
  ): void {
    const { campaignNumber } = campaign.state;
    const senderId = sender.id;
    this.#intents.push({
      messageId,
      attempt,
      route,
      sender,
      senderId,
      campaign,
      campaignNumber,
      phoneNumber,
      rendering,
    });
  }

  #putBack(campaign: Campaign, record: MessageRecord): void {
    // Written again as it is, so that the queues read it after the commit, when the ledger surely shows it.
    this.#deps.journal.change(record, record, campaign.state);
    this.#deps.memory.remove(campaign, record.messageId);
    if (record.dueAtMs > 0) this.#deps.due.note(record.dueAtMs);
    else this.#deps.disk.leave(campaign, record.messageId);
  }

  #dispatch(sender: SeatedSender, campaign: Campaign, record: MessageRecord, effect: DispatchEffect): void {
    if (this.isStopping) return;
    const { messageId, phoneNumber } = record;
    const { attempt } = effect;
    const { definition } = campaign;
    const nowMs = this.#deps.clock.nowMs();
    const attributes: Attributes = JSON.parse(record.attributes);
    const rendering = definition.render({ messageId, attempt, phoneNumber, attributes });
    const isRendered = rendering.kind === "rendered";
    const after = transition.dispatchedRecord(
      record,
      {
        attempt,
        templateName: definition.templateName,
        templateLanguage: definition.templateLanguage,
        message: isRendered ? rendering.message : "",
        detail: isRendered ? rendering.changes.join(" ") : "",
        // After a crash the row is found by the campaign's marks; one that came from the due index, by that.
        dueAtMs: record.dueAtMs > 0 ? nowMs + definition.settings.uncertain.waitMs : 0,
      },
      nowMs,
    );
    this.amend(campaign, record, after);
    if (isRendered) this.#deps.journal.dispatchedAt(nowMs);
    this.#intend(sender, campaign, effect, { phoneNumber, rendering });
  }
}

/** A campaign that moved to another number sends there what this one cannot take now, instead of failing it. */
function verdictFor(campaign: Campaign, sender: SeatedSender, verdict: Verdict): Verdict {
  const { isRemoved, senderId } = campaign.definition;
  if (isRemoved || senderId === sender.id) return verdict;
  if (verdict.kind !== "blocked" && verdict.kind !== "throttled") return verdict;
  return { kind: "transient", errorCode: verdict.errorCode, reason: verdict.reason };
}
