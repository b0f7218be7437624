// How every sender stands, by the reports of its thread: what blocks it, how fast it is, what it used of its recipients.
// What blocks one number and concerns others as well (a token, an account) is told to them, so that not each of them has
// to run into it with a message of its own.

import type { BudgetReport, SenderBlock, SenderReport } from "./actor/partition-deps.ts";
import type { ToThread } from "./actor/protocol.ts";
import { partitionOf } from "./message/partition.ts";
import type { BlockScope } from "./message/verdict.ts";
import type { SenderConfig } from "./runtime/config.ts";

type BlockedElsewhere = Extract<ToThread, { kind: "blockedElsewhere" }>;

export interface SenderBoardOptions {
  senders(): readonly SenderConfig[];
  onRecipients(senderId: string, report: BudgetReport | null): void;
  /** What one number met concerns these. */
  onBlockedElsewhere(news: BlockedElsewhere): void;
}

export class SenderBoard {
  readonly #options: SenderBoardOptions;
  readonly #reports = new Map<string, SenderReport>();
  readonly #unknownCodes = new Map<number, number>();

  constructor(options: SenderBoardOptions) {
    this.#options = options;
  }

  reported(senderId: string, report: SenderReport): void {
    const before = this.#reports.get(senderId)?.blocks ?? [];
    this.#reports.set(senderId, report);
    this.#options.onRecipients(senderId, report.recipients);
    for (const block of report.blocks) {
      if (!before.some((known) => isSameBlock(known, block))) this.#tellSiblings(senderId, block);
    }
  }

  /** Null: nothing was reported since its thread started. */
  reportOf(senderId: string): SenderReport | null {
    return this.#reports.get(senderId) ?? null;
  }

  unknownCode(errorCode: number): void {
    this.#unknownCodes.set(errorCode, (this.#unknownCodes.get(errorCode) ?? 0) + 1);
  }

  /** Codes that no release knows, by how often WhatsApp answered with them since the start. Bounded: Meta's codes are. */
  get unknownCodes(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#unknownCodes);
  }

  /** The thread of these partitions starts (again): its senders have no blocks yet. */
  threadStarted(partitions: readonly number[]): void {
    for (const { id } of this.#options.senders()) {
      if (partitions.includes(partitionOf(id)) && this.#reports.delete(id)) this.#options.onRecipients(id, null);
    }
  }

  #tellSiblings(senderId: string, { scope, errorCode, reason }: SenderBlock): void {
    const senders = this.#options.senders();
    const own = senders.find(({ id }) => id === senderId);
    if (own === undefined) return;
    const senderIds = senders.filter((other) => other.id !== senderId && isConcerned(scope, own, other)).map(idOf);
    if (senderIds.length === 0) return;
    this.#options.onBlockedElsewhere({ kind: "blockedElsewhere", senderIds, scope, errorCode, reason });
  }
}

function isSameBlock(one: SenderBlock, other: SenderBlock): boolean {
  return one.scope === other.scope && one.subject === other.subject && one.errorCode === other.errorCode;
}

function isConcerned(scope: BlockScope, own: SenderConfig, other: SenderConfig): boolean {
  switch (scope) {
    case "token":
      return other.accessToken === own.accessToken;
    case "account":
      return other.wabaId === own.wabaId;
    case "app":
      return true;
    case "number":
    case "template":
    case "country":
      return false;
  }
}

function idOf({ id }: SenderConfig): string {
  return id;
}
