// Fits values into a text of limited length: the longest are shortened, no more than needed and never inside a
// character as a reader sees it (a family emoji is one).

/** With its values. */
export const BODY_LENGTH_MAX = 1024;
/** Of one card of a carousel. */
export const CARD_BODY_LENGTH_MAX = 160;
export const HEADER_LENGTH_MAX = 60;

interface Budgeted {
  /** Characters (UTF-16 units, which are never fewer than Meta counts) that all occurrences together may have. */
  readonly budget: number;
  readonly values: readonly string[];
  /** How often each value stands in the text. */
  readonly occurrences: readonly number[];
}

const ELLIPSIS = "…";
const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/** @returns null when not even one character a value fits. */
export function fitValues({ budget, values, occurrences }: Budgeted): readonly string[] | null {
  const lengths = values.flatMap((value, index) => Array<number>(occurrences[index] ?? 1).fill(value.length));
  const longest = longestAllowed(lengths, budget);
  if (longest < 1) return null;
  return values.map((value) => (value.length <= longest ? value : shorten(value, longest)));
}

/** Water-filling: the length at which cutting every longer value makes them fit. */
function longestAllowed(lengths: readonly number[], budget: number): number {
  const ascending = lengths.toSorted((left, right) => left - right);
  let rest = budget;
  for (const [index, length] of ascending.entries()) {
    const share = Math.floor(rest / (ascending.length - index));
    if (length > share) return share;
    rest -= length;
  }
  return Number.POSITIVE_INFINITY;
}

/** @returns at most `lengthMax` characters, the last of them an ellipsis. */
function shorten(text: string, lengthMax: number): string {
  let end = 0;
  // One character beyond the limit is enough to see whether the last grapheme goes on.
  for (const { index, segment } of graphemes.segment(text.slice(0, lengthMax + 1))) {
    if (index + segment.length > lengthMax - ELLIPSIS.length) break;
    end = index + segment.length;
  }
  return text.slice(0, end).trimEnd() + ELLIPSIS;
}
