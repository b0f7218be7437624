// What goes into a sender actor and what comes out: the whole of its conversation with the thread that owns it.
//
// How a thread uses it, round by round:
//   1. give every input of the round to `step`, perform (or collect) the effects;
//   2. end with one `tick`: only a tick dispatches, so that transactional messages of the round go first;
//   3. make the round durable, send the `dispatch` effects in order, and then report `departed` once;
//   4. tick again at the last `wake`. An input that makes new work possible before that time announces an earlier one.

import type { Lane } from "../message/campaign.ts";
import type { MessageId } from "../message/ids.ts";
import type { BlockScope, Verdict } from "../message/verdict.ts";

/** The two clocks a step may see. */
export interface Now {
  /** Epoch milliseconds: what records and due times are written in. */
  readonly wallMs: number;
  /** Milliseconds that only grow: what limits and holds are measured in. */
  readonly monotonicMs: number;
}

export interface SenderSettings {
  readonly senderId: string;
  /** What Meta granted the number; may be fractional, above 0. */
  readonly messagesPerSecond: number;
  /** To one recipient: one message in `periodMs`, `burst` of them at once after a rest. */
  readonly pair: { readonly periodMs: number; readonly burst: number };
  /** Sends without a verdict, at most. */
  readonly inFlightMax: number;
}

export interface CampaignSettings {
  readonly campaignNumber: number;
  readonly lane: Lane;
  /** Share beside other campaigns of the lane: 2 gets twice what 1 gets. Below 1 counts as 1. */
  readonly weight: number;
  /** Below the sender's own; null: only the sender's limit holds. */
  readonly messagesPerSecond: number | null;
  /** A paused campaign keeps its mailbox and lets only time run. */
  readonly isPaused: boolean;
  /** Counted from acceptance. */
  readonly timeToLiveMs: number;
  /** What becomes of a message whose send may or may not have arrived. */
  readonly uncertain: { readonly waitMs: number; readonly then: "resend" | "fail" };
}

/** One message to one recipient, as far as the actor needs to know it. */
export interface Dispatch {
  readonly messageId: MessageId;
  readonly campaignNumber: number;
  /** E.164 with its plus sign. */
  readonly phoneNumber: string;
  /** Epoch milliseconds. */
  readonly acceptedAtMs: number;
  /** Attempts that cost one: 0 for a fresh message. The next dispatch is `attempts + 1`. */
  readonly attempts: number;
  /** How often WhatsApp said "too fast for this recipient" before, if the ledger knows. Default 0. */
  readonly throttles?: number;
}

export type SenderInput =
  /** A new campaign, or new settings of a known one. Must precede its first dispatch. */
  | { readonly kind: "campaign"; readonly settings: CampaignSettings }
  /** Its waiting messages fail, its sends in flight end as they will; later dispatches of it fail too. */
  | { readonly kind: "campaignRemoved"; readonly campaignNumber: number }
  | { readonly kind: "settings"; readonly settings: SenderSettings }
  /** A fresh message, in order of acceptance. Only while {@link mailboxRoom} is above 0. */
  | { readonly kind: "offered"; readonly dispatch: Dispatch }
  /** A parked message whose time has come. Without room it is parked again for a few seconds. */
  | {
      readonly kind: "due";
      readonly dispatch: Dispatch;
      readonly status: "queued" | "retrying" | "uncertain";
    }
  /**
   * The oldest `count` dispatches that had not departed yet were written to their sockets by `monotonicMs`. One a round.
   * Without a count: all of them; wrong when a tick ran while the round's commit was under way.
   */
  | { readonly kind: "departed"; readonly monotonicMs: number; readonly count?: number }
  | {
      readonly kind: "verdict";
      readonly messageId: MessageId;
      readonly attempt: number;
      readonly verdict: Verdict;
      readonly sentMonotonicMs: number;
      readonly answeredMonotonicMs: number;
    }
  /** A status webhook proved the send while it was in flight or waited for another: the actor forgets the message. */
  | { readonly kind: "proved"; readonly messageId: MessageId }
  /** Nothing leaves before this time (after a restart: the last second's sends are not remembered). */
  | { readonly kind: "holdUntil"; readonly monotonicMs: number }
  | { readonly kind: "tick" };

export type SenderEffect =
  /** Store the intent, then send. */
  | { readonly kind: "dispatch"; readonly messageId: MessageId; readonly attempt: number }
  /** WhatsApp has it. The actor has forgotten the message. */
  | {
      readonly kind: "accepted";
      readonly messageId: MessageId;
      readonly wamid: string;
      readonly isHeld: boolean;
    }
  /**
   * Refused for now, certainly not sent, costs no attempt, and waits in the mailbox again. Store it as `queued`,
   * attempts as before the dispatch, no due time: a crash must not turn it into an `uncertain` one.
   */
  | {
      readonly kind: "returned";
      readonly messageId: MessageId;
      /** Attempts that cost one, as before this dispatch. */
      readonly attempts: number;
      readonly errorCode: number;
      readonly reason: string;
    }
  /** Store it with its due time and give it back as `due` then. The actor has forgotten the message. */
  | {
      readonly kind: "park";
      readonly messageId: MessageId;
      readonly status: "queued" | "retrying" | "uncertain";
      /** Epoch milliseconds. */
      readonly dueAtMs: number;
      /** Attempts that cost one so far: a throttled one costs none. */
      readonly attempts: number;
      readonly errorCode: number | null;
      /** A plain sentence, or empty. */
      readonly reason: string;
      /** Nothing happened but that it found no room: only its due time changes, no line in its timeline. */
      readonly isPostponed: boolean;
    }
  /** The end. The actor has forgotten the message. */
  | {
      readonly kind: "finish";
      readonly messageId: MessageId;
      readonly status: "failed" | "expired";
      readonly errorCode: number | null;
      readonly reason: string;
    }
  /** Nothing of the sender (campaignNumber null) or of one campaign is sent until a probe after `untilMs` succeeds. */
  | {
      readonly kind: "blocked";
      readonly scope: BlockScope;
      readonly campaignNumber: number | null;
      readonly errorCode: number;
      readonly reason: string;
      /** Epoch milliseconds. */
      readonly untilMs: number;
    }
  | {
      readonly kind: "unblocked";
      readonly scope: BlockScope;
      readonly campaignNumber: number | null;
    }
  /** The mailbox that was fuller has drained to half: rows that wait on disk may be offered. */
  | { readonly kind: "room"; readonly campaignNumber: number }
  /** The earliest time at which a tick can do more; replaces the one before. At most one a step, the last effect. */
  | { readonly kind: "wake"; readonly atMonotonicMs: number };
