// A text of a template, cut at its placeholders: `Hi {{1}}, order {{2}}` is three pieces around two variables.

export interface TemplateText {
  /** One more than `names`; they stand around them. */
  readonly pieces: readonly string[];
  /** Placeholders in order of appearance; a name may come twice. */
  readonly names: readonly string[];
  /** Each name once: positional ones by number, others as they appear. The values a send has to bring. */
  readonly variables: readonly string[];
  /** Characters outside the placeholders. */
  readonly fixedLength: number;
}

const PLACEHOLDER = /\{\{\s*([^{}\s]+)\s*\}\}/;
const DIGITS = /^\d+$/;

export function parseTemplateText(text: string): TemplateText {
  const parts = text.split(PLACEHOLDER);
  const pieces = parts.filter((_, index) => index % 2 === 0);
  const names = parts.filter((_, index) => index % 2 === 1);
  const distinct = [...new Set(names)];
  const variables = distinct.every((name) => DIGITS.test(name))
    ? distinct.toSorted((left, right) => Number(left) - Number(right))
    : distinct;
  return {
    pieces,
    names,
    variables,
    fixedLength: pieces.reduce((sum, piece) => sum + piece.length, 0),
  };
}

export function isPositional(names: readonly string[]): boolean {
  return names.every((name) => DIGITS.test(name));
}

/** @param valueOf gets each placeholder's name. Values are put in as they are: a `{{` in one stays text. */
export function fillTemplateText(text: TemplateText, valueOf: (name: string) => string): string {
  let filled = text.pieces[0] ?? "";
  for (const [index, name] of text.names.entries()) filled += valueOf(name) + (text.pieces[index + 1] ?? "");
  return filled;
}
