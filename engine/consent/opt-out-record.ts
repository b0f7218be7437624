// An opt-out as the table and the bucket hold it: one text, because a cluster's node keeps all of them in memory as well
// (200,000 as objects took twice the room).

import type { OptOut } from "./opt-out.ts";

/** A row of the table. In a cluster it carries its version beside this (runtime/shared-map-row.ts). */
export interface OptOutRow {
  readonly value?: string;
}

type Fields = readonly [
  phone: string,
  userId: string,
  isOptedOut: 0 | 1,
  sinceMs: number,
  source: string,
  words: string,
];

export function encodeOptOut({ phone, userId, isOptedOut, sinceMs, source, words }: OptOut): string {
  const fields: Fields = [phone, userId, isOptedOut ? 1 : 0, sinceMs, source, words];
  return JSON.stringify(fields);
}

/** Trusts its input: only this module writes it. */
export function decodeOptOut(text: string): OptOut {
  const fields: Fields = JSON.parse(text);
  const [phone, userId, isOptedOut, sinceMs, source, words] = fields;
  return { phone, userId, isOptedOut: isOptedOut === 1, sinceMs, source, words };
}
