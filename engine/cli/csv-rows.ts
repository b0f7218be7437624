// Reads CSV back (RFC 4180): to count rows while they stream by, and to compare an export with what was accepted.

const QUOTE = 0x22;
const LINE_FEED = 0x0a;

/** Counts rows in chunks of bytes without decoding them; line breaks inside quotes are no row ends. */
export class RowCounter {
  #rows = 0;
  #isQuoted = false;
  #endsWithRow = true;

  /** Whole rows so far, the header included. */
  get rows(): number {
    return this.#rows;
  }

  /** False while the last row is incomplete: the export was cut. */
  get isComplete(): boolean {
    return this.#endsWithRow;
  }

  add(chunk: Uint8Array): void {
    for (const byte of chunk) {
      // A doubled quote toggles twice and so changes nothing.
      if (byte === QUOTE) this.#isQuoted = !this.#isQuoted;
      else if (byte === LINE_FEED && !this.#isQuoted) this.#rows++;
    }
    const last = chunk.at(-1);
    if (last !== undefined) this.#endsWithRow = last === LINE_FEED && !this.#isQuoted;
  }
}

/** The rows as objects by column name. */
export function* csvRows(text: string): Generator<ReadonlyMap<string, string>> {
  let header: readonly string[] | null = null;
  for (const cells of csvCells(text)) {
    if (header === null) header = cells;
    else yield new Map(header.map((name, index) => [name, cells[index] ?? ""]));
  }
}

function* csvCells(text: string): Generator<readonly string[]> {
  // One match is one cell and what ends it: a comma, a line break, or the end.
  const cell = /("(?:[^"]|"")*"|[^",\r\n]*)(,|\r\n|\n|$)/gy;
  let cells: string[] = [];
  while (cell.lastIndex < text.length) {
    const match = cell.exec(text);
    if (match === null) throw new SyntaxError("The text is not CSV.");
    const [, content = "", end] = match;
    cells.push(content.startsWith('"') ? content.slice(1, -1).replaceAll('""', '"') : content);
    if (end === ",") continue;
    yield cells;
    cells = [];
  }
}
