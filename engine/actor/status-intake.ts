// What a status webhook does to a message of this partition, wherever the message is: on disk, waiting for a time, in
// a mailbox, in flight, or long settled.

import type { MessageId } from "../message/ids.ts";
import type { MessageRecord } from "../message/message-record.ts";
import type { StatusUpdate } from "../message/status-update.ts";
import { isSettled } from "../message/status.ts";
import type { BlockScope, Verdict } from "../message/verdict.ts";
import type { Campaign, CampaignMemory } from "./campaign-memory.ts";
import type { DeliverySweep } from "./delivery-sweep.ts";
import type { EffectPerformer } from "./effect-performer.ts";
import type { MessageJournal } from "./message-journal.ts";
import type { PartitionDeps } from "./partition-deps.ts";
import * as transition from "./record-transition.ts";
import { ATTEMPTS_MAX } from "./retry-policy.ts";
import type { SenderDesk } from "./sender-desk.ts";

/** What a status told was blocked waits so long; by then the block itself decides. */
const REVIVED_WAIT_MS = 30_000;

/**
 * Nobody can have got a message that failed for one of these, on none of a person's devices. A template is not among
 * them: what WhatsApp held back and then dropped with it (132015) it has judged, and did not want.
 */
const REVIVING: ReadonlySet<BlockScope> = new Set(["token", "account", "number", "app"]);

/** WhatsApp repeats webhooks for days: a failure of long ago says nothing of now. */
const NEWS_MS_MAX = 600_000;

export interface StatusIntakeDeps extends Pick<
  PartitionDeps,
  "mergeStatus" | "isSentTwice" | "countDoubleSend" | "failureOf" | "noteStaleTemplate" | "clock" | "log"
> {
  readonly journal: MessageJournal;
  readonly memory: CampaignMemory;
  readonly performer: EffectPerformer;
  readonly senders: SenderDesk;
  readonly deliveries: DeliverySweep;
}

export class StatusIntake {
  /** Updates for messages that nobody here knows. */
  unmatched = 0;
  readonly #deps: StatusIntakeDeps;

  constructor(deps: StatusIntakeDeps) {
    this.#deps = deps;
  }

  take(update: StatusUpdate): void {
    const { journal, memory, performer, mergeStatus } = this.#deps;
    const campaign = memory.campaignOf(update.messageId);
    const before = journal.get(update.messageId);
    if (campaign === undefined || before === undefined) {
      this.unmatched += 1;
      return;
    }
    const merged = mergeStatus(before, update);
    if (merged === before) return;
    const after = this.#consequences(campaign, before, merged, update);
    const held = memory.record(update.messageId);
    // One that waits for its first dispatch (the ledger is older than the world: a restored copy) stays in its mailbox
    // until its turn, because the actor does not let go of it before.
    const isUntried = held !== undefined && held.dispatchedAtMs === 0 && held.dueAtMs === 0;
    const hasMovedOn = isSettled(after.status) || after.dueAtMs !== before.dueAtMs;
    if (isUntried || !hasMovedOn) {
      performer.amend(campaign, before, after);
      return;
    }
    performer.store(campaign, before, after);
    if (held !== undefined) this.#forget(campaign, after.messageId);
  }

  #consequences(campaign: Campaign, before: MessageRecord, merged: MessageRecord, update: StatusUpdate): MessageRecord {
    let after = this.#noticeDouble(campaign, before, merged);
    if (update.status === "failed") after = this.#takeFailure(campaign, before, after, update);
    const dueAtMs = after.dueAtMs === 0 ? this.#deps.deliveries.dueAtMs(campaign, after) : 0;
    return dueAtMs === 0 ? after : { ...after, dueAtMs };
  }

  /** A late status proves that an attempt which was followed by another one had arrived. */
  #noticeDouble(campaign: Campaign, before: MessageRecord, merged: MessageRecord): MessageRecord {
    const { isSentTwice, countDoubleSend, clock, log } = this.#deps;
    if (!isSentTwice(merged) || isSentTwice(before)) return merged;
    countDoubleSend(campaign.state.counters);
    log.warn("message.sent_twice", { messageId: merged.messageId, campaignId: merged.campaignId });
    return transition.sentTwiceRecord(merged, clock.nowMs());
  }

  #takeFailure(campaign: Campaign, before: MessageRecord, failed: MessageRecord, update: StatusUpdate): MessageRecord {
    const { failureOf, noteStaleTemplate, performer, senders, clock } = this.#deps;
    const verdict = failureOf(update);
    performer.noteNews(verdict);
    // Whether the template can still be sent is in WhatsApp's list: it is read again, and its campaigns park or go on.
    if (verdict.kind === "blocked" && verdict.scope === "template") {
      noteStaleTemplate();
      return failed;
    }
    const { senderId, settings } = campaign.definition;
    // A campaign that moved to another number left this failure to the one before, and nobody knows which it was.
    const isNew = update.atMs > clock.nowMs() - NEWS_MS_MAX;
    if (isOfMore(verdict) && isNew && campaign.formerSenderId === null) {
      const { campaignNumber } = settings;
      senders.giveIfSeated(senderId, { kind: "failedLater", campaignNumber, phoneNumber: failed.phoneNumber, verdict });
    }
    const isNews = failed.status === "failed" && before.status !== "failed";
    return isNews && this.#mayRevive(campaign, failed, verdict) ? this.#revived(failed) : failed;
  }

  #mayRevive({ definition }: Campaign, failed: MessageRecord, verdict: Verdict): boolean {
    if (verdict.kind !== "blocked" || verdict.isFinal === true || !REVIVING.has(verdict.scope)) return false;
    if (definition.isRemoved || transition.attemptsInARow(failed) >= ATTEMPTS_MAX) return false;
    const endsAtMs = transition.liveSinceMs(failed) + definition.settings.timeToLiveMs;
    return endsAtMs > this.#deps.clock.nowMs() + REVIVED_WAIT_MS;
  }

  #revived(failed: MessageRecord): MessageRecord {
    const nowMs = this.#deps.clock.nowMs();
    return transition.revivedRecord(failed, nowMs + REVIVED_WAIT_MS, nowMs);
  }

  /** An actor of the campaign holds the message: the present one, or the one before. */
  #forget({ definition, formerSenderId }: Campaign, messageId: MessageId): void {
    const { senders } = this.#deps;
    senders.giveIfSeated(definition.senderId, { kind: "proved", messageId });
    if (formerSenderId !== null) senders.giveIfSeated(formerSenderId, { kind: "proved", messageId });
  }
}

/** Whether it says something of the number, the account, the template… and not of the message alone. */
function isOfMore({ kind }: Verdict): boolean {
  return kind === "throttled" || kind === "blocked" || kind === "misrouted" || kind === "transient";
}
