// JSON.parse rounds integers beyond 2^53, such as Shopify's ids. This puts quotation marks around them first, so that
// they come out as strings of their digits. It reads only the neighbourhood of long runs of digits and leaves the
// parsing, and the judgement of what is JSON at all, to the native parser.

/** A shorter integer is below 10^15 < 2^53. */
const LONG_RUN = /[0-9]{16,}/g;

/**
 * The same JSON with every integer beyond 2^53 as a string. Never makes invalid JSON valid: a number is quoted only
 * where a value may stand, and only if it is written as JSON wants it.
 */
export function quoteBigIntegers(text: string): string {
  let quoted = "";
  let copiedTo = 0;
  let scannedTo = 0;
  let isInString = false;
  for (const match of text.matchAll(LONG_RUN)) {
    const end = match.index + match[0].length;
    isInString = scanStrings(text, scannedTo, match.index, isInString);
    scannedTo = match.index;
    if (isInString) continue;
    const start = text.charCodeAt(match.index - 1) === MINUS ? match.index - 1 : match.index;
    if (!isBigInteger(text.slice(start, end)) || !isValueAt(text, start, end)) continue;
    quoted += `${text.slice(copiedTo, start)}"${text.slice(start, end)}"`;
    copiedTo = end;
  }
  return copiedTo === 0 ? text : quoted + text.slice(copiedTo);
}

const QUOTE = 34;
const MINUS = 45;
const BACKSLASH = 92;

/** Whether `to` lies inside a string, when `from` did or did not. A run of digits never holds a quotation mark. */
function scanStrings(text: string, from: number, to: number, wasInString: boolean): boolean {
  let isInString = wasInString;
  for (let index = from; index < to; index++) {
    const code = text.charCodeAt(index);
    if (code === QUOTE) isInString = !isInString;
    else if (code === BACKSLASH && isInString) index++;
  }
  return isInString;
}

function isBigInteger(digits: string): boolean {
  return !/^-?0/.test(digits) && !Number.isSafeInteger(Number(digits));
}

/** After `:`, `,`, `[` or nothing, and before `,`, `]`, `}` or nothing: so no fraction, exponent or property name. */
function isValueAt(text: string, start: number, end: number): boolean {
  let before = start - 1;
  while (isSpace(text.charCodeAt(before))) before--;
  let after = end;
  while (isSpace(text.charCodeAt(after))) after++;
  return (
    (before < 0 || ":,[".includes(text.charAt(before))) && (after === text.length || ",]}".includes(text.charAt(after)))
  );
}

function isSpace(code: number): boolean {
  return code === 32 || code === 10 || code === 13 || code === 9;
}
