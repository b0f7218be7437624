// What goes into a sender actor and what comes out: the whole of its conversation with the thread that owns it.
//
// How a thread uses it, round by round:
//   1. give every input of the round to `step`, perform (or collect) the effects;
//   2. end with one `tick`: only a tick dispatches, so that transactional messages of the round go first;
//   3. make the round durable, send the `dispatch` effects in order, and then report `departed` once;
//   4. tick again at the last `wake`. An input that makes new work possible before that time announces an earlier one.

import type { Lane } from "../message/campaign.ts";
import type { MessageId } from "../message/ids.ts";
import type { QuietHours, Refusal } from "../message/marketing.ts";
import type { BlockScope, SendRoute, Verdict } from "../message/verdict.ts";

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
  /** Account, name and language: campaigns that share a template share its block. */
  readonly templateKey: string;
  /** Meta's word for the template (MARKETING, UTILITY, AUTHENTICATION), or empty: marketing may have a route of its own. */
  readonly category: string;
  /** No marketing in the recipient's night, as minutes of the day; null: none. */
  readonly quietHours: QuietHours | null;
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

/** Consent, frequency, quiet hours and the portfolio's budget, as the actor asks them before each departure. */
export interface SendRules {
  /** Null: it may leave. */
  refusal(dispatch: Dispatch, campaign: CampaignSettings, now: Now): Refusal | null;
  /** It leaves. */
  left(dispatch: Dispatch, campaign: CampaignSettings, now: Now): void;
  /** It left, and WhatsApp certainly did not take it. */
  returned(dispatch: Dispatch, campaign: CampaignSettings, now: Now): void;
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
  /**
   * Attempts before an operator's replay, or before a status told that the number was blocked: since then it has a fresh
   * number of them, and no retry budget to wait for.
   */
  readonly attemptsBefore?: number;
  /** It came to the wrong door once: a second time ends it. The actor's own note; absent for all that is given to it. */
  readonly isMisrouted?: true;
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
  /** A status webhook told of a failure that concerns more than its message: what it says of the number, the account… */
  | {
      readonly kind: "failedLater";
      readonly campaignNumber: number;
      readonly phoneNumber: string;
      readonly verdict: Verdict;
    }
  /** Another number met a block that is this one's as well (a token, an account): it waits too, and probes for itself. */
  | {
      readonly kind: "blockedElsewhere";
      readonly scope: BlockScope;
      readonly errorCode: number;
      readonly reason: string;
    }
  /** The number has another token: what the old one was refused for says nothing any more. */
  | { readonly kind: "tokenChanged" }
  /** A run before this one sent this, so long ago: limits go on from there. Given in order, before anything else. */
  | {
      readonly kind: "sentBefore";
      readonly campaignNumber: number;
      readonly phoneNumber: string;
      readonly agoMs: number;
    }
  | { readonly kind: "tick" };

export type SenderEffect =
  /** Store the intent, then send. */
  | {
      readonly kind: "dispatch";
      readonly messageId: MessageId;
      readonly attempt: number;
      readonly route: SendRoute;
    }
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
      readonly status: "failed" | "expired" | "suppressed";
      readonly errorCode: number | null;
      readonly reason: string;
    }
  /** Nothing of the scope is sent until a probe after `untilMs` succeeds. */
  | {
      readonly kind: "blocked";
      readonly scope: BlockScope;
      /** Of a template: its key; of a country: its region; else empty. */
      readonly subject: string;
      readonly errorCode: number;
      readonly reason: string;
      /** Epoch milliseconds. */
      readonly untilMs: number;
    }
  | {
      readonly kind: "unblocked";
      readonly scope: BlockScope;
      readonly subject: string;
    }
  /** What the number may send a second now, after WhatsApp called it too fast, or was quiet for long. */
  | { readonly kind: "rate"; readonly messagesPerSecond: number }
  /** The mailbox that was fuller has drained to half: rows that wait on disk may be offered. */
  | { readonly kind: "room"; readonly campaignNumber: number }
  /** The earliest time at which a tick can do more; replaces the one before. At most one a step, the last effect. */
  | { readonly kind: "wake"; readonly atMonotonicMs: number };
