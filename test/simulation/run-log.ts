// What happened in a simulated run, as those saw it who stand outside the engine: its callers, WhatsApp, the disk.
// The invariants are checked on this alone.

import type { MessageId } from "../../engine/message/ids.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import type { StatusUpdate } from "../../engine/message/status-update.ts";
import type { MessageStatus } from "../../engine/message/status.ts";

export interface AcceptedEvent {
  readonly messageId: MessageId;
  readonly campaignNumber: number;
  readonly phoneNumber: string;
  /** What the person should read. */
  readonly text: string;
}

/** A request that reached WhatsApp. */
export interface Receipt {
  readonly messageId: MessageId;
  readonly campaignNumber: number;
  readonly senderId: string;
  readonly attempt: number;
  readonly phoneNumber: string;
  readonly text: string;
  /** On a clock that never jumps. */
  readonly atMs: number;
  /** WhatsApp took the message, and gave it this id; null: it refused it. */
  wamid: string | null;
  /** The engine holds on disk what became of it. Until then a crash makes it uncertain. */
  isKnown: boolean;
}

export interface Limit {
  readonly perSecond: number;
}

export interface RunLog {
  readonly accepted: AcceptedEvent[];
  readonly receipts: Receipt[];
  /** Status updates that the engine got, in any order, some twice. */
  readonly updates: StatusUpdate[];
  /** The statuses of each message as they became durable. */
  readonly history: Map<MessageId, MessageStatus[]>;
  /** Replayed by an operator: may be sent again. */
  readonly replayed: Set<MessageId>;
  /** Put back to wait because a webhook told that its number or account was blocked. */
  readonly putBack: Set<MessageId>;
  /** People who stopped marketing, and when, on the clock of the receipts. */
  readonly stopped: Map<string, number>;
  /** At the end. */
  rows: readonly MessageRecord[];
  waiting: number;
  inMemory: number;
}

export interface RunRules {
  readonly senders: ReadonlyMap<string, Limit>;
  readonly pair: { readonly periodMs: number; readonly burst: number };
  /** By campaign number; those without a limit of their own are not in it. */
  readonly campaigns: ReadonlyMap<number, Limit>;
  readonly marketing: ReadonlySet<number>;
  /** Campaigns that never send again what may have arrived. */
  readonly atMostOnce: ReadonlySet<number>;
}

export function emptyLog(): RunLog {
  return {
    accepted: [],
    receipts: [],
    updates: [],
    history: new Map(),
    replayed: new Set(),
    putBack: new Set(),
    stopped: new Map(),
    rows: [],
    waiting: 0,
    inMemory: 0,
  };
}
