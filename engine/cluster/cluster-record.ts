// What the cluster's bucket holds: `node.<nodeId>` (a heartbeat), `lease.<partition>`, `number.<n>` (whose number it is).
// Values are JSON, read with suspicion: what cannot be read counts as absent.

import { PARTITIONS } from "../message/partition.ts";

export const NODE_NUMBERS = 256;

export interface NodeRecord {
  readonly name: string;
  readonly number: number;
  /** Random, of this start of the process. */
  readonly run: string;
  readonly state: "up" | "left";
  /** Counts the heartbeats of this run. */
  readonly beat: number;
}

export interface LeaseRecord {
  readonly nodeId: string;
  readonly run: string;
  /** One more at each take. For logs and order only: the ledger stream is what refuses an older owner. */
  readonly epoch: number;
  readonly state: "held" | "free";
}

const NODE_PREFIX = "node.";
const LEASE_PREFIX = "lease.";
const NUMBER_PREFIX = "number.";

export function nodeKey(nodeId: string): string {
  return `${NODE_PREFIX}${nodeId}`;
}

export function leaseKey(partition: number): string {
  return `${LEASE_PREFIX}${partition}`;
}

export function numberKey(number: number): string {
  return `${NUMBER_PREFIX}${number}`;
}

export type KeyMeaning =
  | { readonly kind: "node"; readonly nodeId: string }
  | { readonly kind: "lease"; readonly partition: number }
  | { readonly kind: "number"; readonly number: number }
  | { readonly kind: "other" };

export function meaningOf(key: string): KeyMeaning {
  if (key.startsWith(NODE_PREFIX)) return { kind: "node", nodeId: key.slice(NODE_PREFIX.length) };
  const partition = indexAfter(key, LEASE_PREFIX);
  if (partition !== null && partition < PARTITIONS) return { kind: "lease", partition };
  const number = indexAfter(key, NUMBER_PREFIX);
  if (number !== null && number < NODE_NUMBERS) return { kind: "number", number };
  return { kind: "other" };
}

function indexAfter(key: string, prefix: string): number | null {
  const digits = key.startsWith(prefix) ? key.slice(prefix.length) : "";
  return /^\d{1,3}$/.test(digits) ? Number(digits) : null;
}

export function parseNode(text: string | null): NodeRecord | null {
  const fields = fieldsOf(text);
  if (fields === null) return null;
  const { name, number, run, state, beat } = fields;
  if (typeof name !== "string" || typeof run !== "string") return null;
  if (typeof number !== "number" || typeof beat !== "number") return null;
  return state === "up" || state === "left" ? { name, number, run, state, beat } : null;
}

export function parseLease(text: string | null): LeaseRecord | null {
  const fields = fieldsOf(text);
  if (fields === null) return null;
  const { nodeId, run, epoch, state } = fields;
  if (typeof nodeId !== "string" || typeof run !== "string") return null;
  if (typeof epoch !== "number" || !Number.isSafeInteger(epoch) || epoch < 0) return null;
  return state === "held" || state === "free" ? { nodeId, run, epoch, state } : null;
}

function fieldsOf(text: string | null): Record<string, unknown> | null {
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? { ...value } : null;
  } catch {
    return null;
  }
}
