// A hash by which a node recognises a file's content: the same for the same content, in whatever order its keys are
// written. Pure.

import { hash } from "node:crypto";

export function contentHash(value: unknown): string {
  return hash("sha256", JSON.stringify(sorted(value)), "base64url");
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}
