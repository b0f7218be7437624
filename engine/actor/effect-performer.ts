// Turns what the sender actors decide into records and requests: the hands of the partition.

import assert from "node:assert/strict";

import type { Attributes } from "../message/event.ts";
import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { Verdict } from "../message/verdict.ts";
import type { Campaign, CampaignMemory } from "./campaign-memory.ts";
import type { DueQueue } from "./due-queue.ts";
import type { MessageJournal } from "./message-journal.ts";
import type { PartitionDeps, Rendering } from "./partition-deps.ts";
import * as transition from "./record-transition.ts";
import type { SenderEffect } from "./sender-actor.ts";
import type { SeatedSender, SenderDesk } from "./sender-desk.ts";

/** A request that leaves once its record is on disk. */
export interface Intent {
  readonly messageId: MessageId;
  readonly attempt: number;
  readonly sender: SeatedSender;
  readonly campaign: Campaign;
  readonly rendering: Rendering;
}

export interface EffectPerformerDeps extends Pick<PartitionDeps, "clock" | "log" | "send" | "reportBlock"> {
  readonly journal: MessageJournal;
  readonly memory: CampaignMemory;
  readonly due: DueQueue;
  readonly senders: SenderDesk;
  /** An actor was given something: a round is needed. */
  onInput(): void;
}

export class EffectPerformer {
  /** Once set nothing more is dispatched: without an intent a row simply stays queued for the next run. */
  isStopping = false;
  inFlight = 0;
  readonly #deps: EffectPerformerDeps;
  #intents: Intent[] = [];

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
        this.#deps.reportBlock(sender.id, effect);
        return;
      case "unblocked":
        this.#deps.log.info("sender.unblocked", { senderId: sender.id, ...effect });
        this.#deps.reportBlock(sender.id, null);
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

  /** Replaces a record and keeps memory, journal and due queue in step with it. */
  store(campaign: Campaign, before: MessageRecord, after: MessageRecord): void {
    this.#deps.journal.change(before, after, campaign.state);
    if (after.status === "queued" && after.dueAtMs === 0) this.#deps.memory.replace(after);
    else this.#deps.memory.remove(campaign, after.messageId);
    if (after.dueAtMs > 0) this.#deps.due.note(after.dueAtMs);
    this.#deps.memory.count(campaign, before.status, after.status);
  }

  finish(campaign: Campaign, before: MessageRecord, finish: transition.Finish): void {
    this.store(campaign, before, transition.finishedRecord(before, finish, this.#deps.clock.nowMs()));
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
    const answer = (verdict: Verdict): void => {
      const answeredMonotonicMs = this.#deps.clock.monotonicMs();
      this.inFlight -= 1;
      this.#deps.senders.step(sender, {
        kind: "verdict",
        messageId,
        attempt,
        verdict,
        sentMonotonicMs,
        answeredMonotonicMs,
      });
      this.#deps.onInput();
    };
    this.inFlight += 1;
    if (rendering.kind === "unrenderable") {
      answer({ kind: "rejected", errorCode: null, reason: rendering.reason });
      return;
    }
    campaign.dispatched += 1;
    this.#deps.send({ senderId: sender.id, body: rendering.request }, answer);
  }

  #performOnMessage(sender: SeatedSender, effect: Extract<SenderEffect, { messageId: MessageId }>): void {
    const { memory, clock } = this.#deps;
    const campaign = memory.campaignOf(effect.messageId);
    const record = memory.record(effect.messageId);
    assert.ok(campaign && record, `the actor decided on ${effect.messageId}, which is not in memory`);
    const nowMs = clock.nowMs();
    switch (effect.kind) {
      case "dispatch":
        this.#dispatch(sender, campaign, record, effect.attempt);
        return;
      case "accepted":
        this.store(campaign, record, transition.takenRecord(record, effect, nowMs));
        return;
      case "returned": {
        // A row that came from the due index stays findable there: it may lie before the campaign's head mark.
        const waiting = { ...effect, status: "queued", dueAtMs: 0 } as const;
        const after = transition.parkedRecord(record, waiting, nowMs);
        this.#deps.journal.change(record, { ...after, dueAtMs: record.dueAtMs }, campaign.state);
        memory.replace({ ...after, dueAtMs: record.dueAtMs });
        return;
      }
      case "park": {
        // Only put off again: nothing happened that the timeline should tell.
        const { isPostponed, dueAtMs } = effect;
        const after = isPostponed ? { ...record, dueAtMs } : transition.parkedRecord(record, effect, nowMs);
        this.store(campaign, record, after);
        return;
      }
      case "finish":
        this.finish(campaign, record, effect);
    }
  }

  #dispatch(sender: SeatedSender, campaign: Campaign, record: MessageRecord, attempt: number): void {
    if (this.isStopping) return;
    const { messageId, phoneNumber } = record;
    const { definition, state } = campaign;
    const nowMs = this.#deps.clock.nowMs();
    const attributes = JSON.parse(record.attributes) as Attributes;
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
    this.#deps.journal.change(record, after, state);
    this.#deps.journal.dispatchedAt(nowMs);
    this.#deps.memory.replace(after);
    this.#intents.push({ messageId, attempt, sender, campaign, rendering });
  }
}
