// The life of a message, in the words of the CSV.
//
//   queued → dispatched → sent → delivered → read        the way a message normally goes
//   retrying, held, uncertain                            waiting for a time or for news
//   failed, expired, suppressed                          ends

export const MESSAGE_STATUSES = [
  "queued",
  "dispatched",
  "retrying",
  "held",
  "uncertain",
  "sent",
  "delivered",
  "read",
  "failed",
  "expired",
  "suppressed",
] as const;

export type MessageStatus = (typeof MESSAGE_STATUSES)[number];

const SETTLED: ReadonlySet<MessageStatus> = new Set(["sent", "delivered", "read", "failed", "expired", "suppressed"]);

/** True once Volley has nothing left to do for the message: WhatsApp has it, or it ended. */
export function isSettled(status: MessageStatus): boolean {
  return SETTLED.has(status);
}
