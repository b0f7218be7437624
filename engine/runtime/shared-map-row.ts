// One value of a map that all nodes share, with the version that decides between two of them. Every node merges by the
// same rule, in any order and any number of times, and so all arrive at the same map. Pure.

export interface Row<Value> {
  /** The greatest that its writer had seen, plus one. */
  readonly counter: number;
  /** Node and run of the writer; decides between equal counters. One run never uses a counter twice. */
  readonly writer: string;
  /** Absent: removed. What is removed keeps its version, or an older copy elsewhere would bring it back. */
  readonly value?: Value;
}

export function isNewer(row: Row<unknown>, than: Row<unknown> | undefined): boolean {
  if (than === undefined) return true;
  return row.counter === than.counter ? row.writer > than.writer : row.counter > than.counter;
}

/** The same write, hence the same value. */
export function isSameWrite(left: Row<unknown> | undefined, right: Row<unknown>): boolean {
  return left !== undefined && left.counter === right.counter && left.writer === right.writer;
}

export function encodeRow(row: Row<unknown>): Uint8Array {
  return Buffer.from(JSON.stringify(row));
}

/** Null for bytes that no node wrote. */
export function decodeRow<Value>(bytes: Uint8Array): Row<Value> | null {
  try {
    const row: Row<Value> | null = JSON.parse(Buffer.from(bytes).toString());
    return Number.isSafeInteger(row?.counter) && typeof row?.writer === "string" ? row : null;
  } catch {
    return null;
  }
}

/** A key of a bucket may have `-/_=.` and ASCII letters and digits; all else, and `=` and `.`, becomes `=` and two hex digits a byte. */
export function encodeKey(key: string): string {
  return key.replaceAll(/[^-/\w]/gu, (character) =>
    Array.from(Buffer.from(character), (byte) => `=${byte.toString(16).padStart(2, "0")}`).join(""),
  );
}

export function decodeKey(text: string): string {
  return text.replaceAll(/(?:=[\da-f]{2})+/g, (run) => Buffer.from(run.replaceAll("=", ""), "hex").toString());
}
