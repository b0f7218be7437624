// Where a text stops being JSON. JSON.parse often says it without a position and quotes the payload instead, so this
// reads the text once more, and only when parsing failed. No recursion: the text is hostile by definition.

export interface JsonFault {
  /** 1-based, lines end with a line feed. */
  readonly line: number;
  /** 1-based, in UTF-16 units. */
  readonly column: number;
  /** What is wrong there, without quoting the text. */
  readonly reason: string;
}

/** @returns null when the text is JSON. */
export function findJsonFault(text: string): JsonFault | null {
  const reader = new Reader(text);
  const reason = reader.document();
  return reason === null ? null : { ...placeOf(text, reader.position), reason };
}

function placeOf(text: string, position: number): { line: number; column: number } {
  let line = 1;
  let lineStart = 0;
  for (let at = text.indexOf("\n"); at !== -1 && at < position; at = text.indexOf("\n", at + 1)) {
    line++;
    lineStart = at + 1;
  }
  return { line, column: position - lineStart + 1 };
}

const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const WORD = /true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const QUOTE = 34;
const BACKSLASH = 92;
const FIRST_PRINTABLE = 32;

/** Reads one value after another, with the open brackets on a stack of its own; stops at the first fault. */
class Reader {
  position = 0;
  readonly #text: string;
  readonly #open: string[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  document(): string | null {
    let fault = this.#value();
    while (fault === null && this.#open.length > 0) fault = this.#afterValue();
    if (fault !== null) return fault;
    this.#skipSpace();
    return this.position === this.#text.length ? null : "nothing may follow the value";
  }

  /** A scalar, or the beginning of an object or array up to its first scalar or its end. */
  #value(): string | null {
    for (;;) {
      this.#skipSpace();
      const character = this.#text.charAt(this.position);
      if (character === "{" || character === "[") {
        this.position++;
        const closed = this.#begin(character);
        if (closed !== "goes on") return closed;
      } else if (character === '"') return this.#string();
      else if (this.#skip(NUMBER) || this.#skip(WORD)) return null;
      else return this.#expected("a value");
    }
  }

  /** After an opening bracket. Null: it was closed at once. */
  #begin(bracket: "{" | "["): string | null {
    this.#skipSpace();
    if (this.#text.charAt(this.position) === (bracket === "{" ? "}" : "]")) {
      this.position++;
      return null;
    }
    this.#open.push(bracket);
    return bracket === "[" ? "goes on" : (this.#name() ?? "goes on");
  }

  #afterValue(): string | null {
    this.#skipSpace();
    const isObject = this.#open.at(-1) === "{";
    const character = this.#text.charAt(this.position);
    if (character === (isObject ? "}" : "]")) {
      this.position++;
      this.#open.pop();
      return null;
    }
    if (character !== ",") return this.#expected(isObject ? "a comma or }" : "a comma or ]");
    this.position++;
    return (isObject ? this.#name() : null) ?? this.#value();
  }

  #name(): string | null {
    this.#skipSpace();
    if (this.#text.charAt(this.position) !== '"') return this.#expected("a property name in double quotes");
    const fault = this.#string();
    if (fault !== null) return fault;
    this.#skipSpace();
    if (this.#text.charAt(this.position) !== ":") return this.#expected("a colon");
    this.position++;
    return null;
  }

  /** A loop, not a pattern: a pattern's memory would grow with a string of megabytes. */
  #string(): string | null {
    this.position++;
    for (;;) {
      const code = this.#text.charCodeAt(this.position);
      if (Number.isNaN(code)) return this.#expected("the end of the string");
      if (code === BACKSLASH) {
        if (!this.#skip(ESCAPE)) return "this escape sequence is not one of JSON";
      } else {
        if (code < FIRST_PRINTABLE) return "control characters must be escaped";
        this.position++;
        if (code === QUOTE) return null;
      }
    }
  }

  #skipSpace(): void {
    while (" \t\n\r".includes(this.#text[this.position] ?? "end")) this.position++;
  }

  #expected(what: string): string {
    return this.position >= this.#text.length ? `the text ends where ${what} was expected` : `expected ${what}`;
  }

  #skip(pattern: RegExp): boolean {
    pattern.lastIndex = this.position;
    if (!pattern.test(this.#text)) return false;
    this.position = pattern.lastIndex;
    return true;
  }
}
