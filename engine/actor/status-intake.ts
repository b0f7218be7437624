// What a status webhook does to a message of this partition, wherever the message is: on disk, waiting for a time, in
// a mailbox, in flight, or long settled.

import type { MessageId } from "../message/ids.ts";
import type { StatusUpdate } from "../message/status-update.ts";
import { isSettled } from "../message/status.ts";
import type { Campaign, CampaignMemory } from "./campaign-memory.ts";
import type { EffectPerformer } from "./effect-performer.ts";
import type { MessageJournal } from "./message-journal.ts";
import type { PartitionDeps } from "./partition-deps.ts";
import type { SenderDesk } from "./sender-desk.ts";

export interface StatusIntakeDeps extends Pick<PartitionDeps, "mergeStatus"> {
  readonly journal: MessageJournal;
  readonly memory: CampaignMemory;
  readonly performer: EffectPerformer;
  readonly senders: SenderDesk;
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
    const after = mergeStatus(before, update);
    if (after === before) return;
    const held = memory.record(update.messageId);
    // One that waits for its first dispatch (the ledger is older than the world: a restored copy) stays in its mailbox
    // until its turn, because the actor does not let go of it before.
    const isUntried = held !== undefined && held.dispatchedAtMs === 0 && held.dueAtMs === 0;
    if (isUntried || !isSettled(after.status)) {
      performer.amend(campaign, before, after);
      return;
    }
    performer.store(campaign, before, after);
    if (held !== undefined) this.#forget(campaign, after.messageId);
  }

  /** An actor of the campaign holds the message: the present one, or the one before. */
  #forget({ definition, formerSenderId }: Campaign, messageId: MessageId): void {
    const { senders } = this.#deps;
    senders.giveIfSeated(definition.senderId, { kind: "proved", messageId });
    if (formerSenderId !== null) senders.giveIfSeated(formerSenderId, { kind: "proved", messageId });
  }
}
