// What is known of one person's wish about marketing. A wish is never deleted, only followed by a later one: a webhook
// that was late, or came twice, must find what it is older than.

/** A person is known by the number, or by WhatsApp's user id while no webhook has told both. */
export interface OptOut {
  /** E.164 as it was first told; empty while only the user id is known. */
  readonly phone: string;
  readonly userId: string;
  /** False: taken back. */
  readonly isOptedOut: boolean;
  /** Epoch milliseconds at which it was said. */
  readonly sinceMs: number;
  /** text, button, preference, 131050, api, or what an import called itself. */
  readonly source: string;
  /** The person's own words, if there were any. */
  readonly words: string;
}

export const WORDS_LENGTH_MAX = 100;

/** Whether `wish` was said after `than`. Of two of the same moment the one that stops stays, in whatever order they come. */
export function isLater(wish: OptOut, than: OptOut): boolean {
  if (wish.sinceMs !== than.sinceMs) return wish.sinceMs > than.sinceMs;
  return wish.isOptedOut && !than.isOptedOut;
}

/** Why a message does not leave, for the log that people read. */
export function optOutReason({ sinceMs, source, words }: OptOut): string {
  const day = new Date(sinceMs).toISOString().slice(0, 10);
  return `The recipient asked for no more marketing messages on ${day} (${words || sourceWords(source)}).`;
}

function sourceWords(source: string): string {
  switch (source) {
    case "preference":
    case "131050":
      return "in WhatsApp's own settings";
    case "api":
      return "noted by an operator";
    default:
      return source;
  }
}
