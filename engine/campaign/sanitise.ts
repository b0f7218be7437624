// Makes text fit for a template variable. Meta refuses a whole message (132018) for a line break, a tab or a run of
// spaces in a value, so those are replaced, and every replacement is told in words: meaning is not lost silently.

export interface Sanitised {
  readonly text: string;
  /** What was changed, such as `line breaks replaced by spaces`. */
  readonly changes: readonly string[];
}

// Cc: control characters. Cs: halves of a surrogate pair without the other half, which no UTF-8 can carry.
const SUSPICIOUS = /[\p{Cc}\p{Cs}\u2028\u2029]| {4}|^\s|\s$/u;
const LINE_BREAKS = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/g;
const CONTROLS = /\p{Cc}/gu;
const BROKEN = /\p{Cs}/gu;

/** Meta's pages say "more than four"; three is safe under either reading. */
const SPACES = / {4,}/g;

/** True for nearly every value: nothing to do. */
export function isSendable(text: string): boolean {
  return !SUSPICIOUS.test(text);
}

export function sanitise(text: string): Sanitised {
  const changes: string[] = [];
  const replace = (before: string, pattern: RegExp, by: string, change: string): string => {
    const after = before.replaceAll(pattern, by);
    if (after !== before) changes.push(change);
    return after;
  };
  let clean = replace(text, LINE_BREAKS, " ", "line breaks replaced by spaces");
  clean = replace(clean, /\t/g, " ", "tabs replaced by spaces");
  clean = replace(clean, CONTROLS, "", "control characters removed");
  clean = replace(clean, SPACES, "   ", "runs of spaces shortened to three");
  clean = replace(clean, BROKEN, "\uFFFD", "broken characters replaced");
  if (clean.trim() !== clean) changes.push("spaces around it removed");
  return { text: clean.trim(), changes };
}
