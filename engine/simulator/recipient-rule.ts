// What happens to messages to certain recipients: for tests that want a certain outcome, not a share of them.

export type Outcome =
  | "sent"
  | "delivered"
  | "read"
  | "failed"
  | "held"
  | "dropped"
  | "slow"
  | "early"
  | "silentDrop"
  | "deliveredAndFailed"
  | LostForm;

/** Instead of the answer: the caller cannot know what became of the message. */
export type LostForm = "cut" | "silent" | "garbled" | "empty" | "unreadable";

export interface RecipientRule {
  /** Digits that the number ends with. */
  readonly suffix: string;
  readonly outcome: Outcome;
  /** Of `failed` and `deliveredAndFailed` (default 131036): Meta's error code. */
  readonly code?: number;
  /** Of `failed`; default `webhook`. */
  readonly where?: "answer" | "webhook";
  /** Of `failed` as answer; default as Meta's page of errors has it. */
  readonly httpStatus?: number;
  /** Of `failed` as answer: `is_transient`. */
  readonly transient?: boolean;
  /** Of `failed` as answer: `error_data.details`. */
  readonly details?: string;
  /** Of lost answers: whether the message is accepted all the same. Default true. */
  readonly accepted?: boolean;
  /** Only the first so many sends to each such recipient; default all. */
  readonly times?: number;
  /** Statuses name no phone number, only the business-scoped user id. */
  readonly withoutPhone?: boolean;
  /** What `sent` says of the price, later statuses say otherwise. */
  readonly pricingChanges?: boolean;
  /** What this person answers to a delivered message. */
  readonly replies?: Reply;
}

export interface Reply {
  readonly text?: string;
  /** The text of a quick-reply button. */
  readonly button?: string;
  /** Of the button; default its text. */
  readonly payload?: string;
  /** WhatsApp's own switch for marketing messages. */
  readonly preference?: "stop" | "resume";
  /** After the delivery; default 0. */
  readonly afterMs?: number;
}
