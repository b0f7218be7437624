// The demo's books: what the engine acknowledged, what its CSV says, and what the simulated WhatsApp received must
// tell one story. Pure: three lists in, every disagreement out.

import { MESSAGE_ID_LENGTH } from "../message/ids.ts";
import type { ReceivedSend } from "../simulator/received-send.ts";

type CsvRow = ReadonlyMap<string, string>;

export interface DemoAudit {
  readonly rows: number;
  /** How many reached each stage: a read message was also sent and delivered. */
  readonly reached: { readonly sent: number; readonly delivered: number; readonly read: number };
  readonly failures: readonly FailureCount[];
  /** Sentences; empty when all three agree. */
  readonly disagreements: readonly string[];
}

interface FailureCount {
  readonly status: string;
  readonly errorCode: string;
  readonly reason: string;
  readonly count: number;
}

const FINAL: ReadonlySet<string> = new Set(["delivered", "read", "failed", "expired", "suppressed"]);
const UNSENT_ENDS: ReadonlySet<string> = new Set(["expired", "suppressed"]);
/** A disagreement names a few ids, not ten thousand. */
const NAMED_MAX = 3;

export function auditDemo(books: {
  /** How many events the demo had to post. */
  readonly events: number;
  readonly acceptedIds: readonly string[];
  readonly rows: readonly CsvRow[];
  readonly sends: readonly ReceivedSend[];
}): DemoAudit {
  const { acceptedIds, rows, events } = books;
  const accepted = new Set(acceptedIds);
  const statuses = new Map(rows.map((row) => [columnOf(row, "message_id"), columnOf(row, "status")]));
  const ends = sendsByMessage(books.sends);
  const reachedRows = (column: string, ...orStatuses: string[]): number =>
    rows.filter((row) => columnOf(row, column) !== "" || orStatuses.includes(columnOf(row, "status"))).length;
  return {
    rows: rows.length,
    reached: {
      sent: reachedRows("sent_at", "sent", "delivered", "read"),
      delivered: reachedRows("delivered_at", "delivered", "read"),
      read: reachedRows("read_at", "read"),
    },
    failures: failureCounts(rows),
    disagreements: [
      ...(acceptedIds.length === events ? [] : [`${events} events were posted and ${acceptedIds.length} accepted`]),
      ...named("messages share an id with another", repeated(acceptedIds)),
      ...named(
        "accepted messages are missing in the CSV",
        acceptedIds.filter((id) => !statuses.has(id)),
      ),
      ...named(
        "messages in the CSV were never accepted",
        [...statuses.keys()].filter((id) => !accepted.has(id)),
      ),
      ...named("rows repeat another's message", repeated(rows.map((row) => columnOf(row, "message_id")))),
      ...named(
        "messages have no final status",
        idsWhere(statuses, (_id, status) => !FINAL.has(status)),
      ),
      ...named(
        "messages never reached WhatsApp",
        idsWhere(statuses, (id, status) => !ends.has(id) && !UNSENT_ENDS.has(status)),
      ),
      ...named(
        "messages reached WhatsApp twice",
        [...ends.keys()].filter((id) => (ends.get(id)?.taken ?? 0) > 1),
      ),
      ...named(
        "messages ended differently at WhatsApp",
        idsWhere(statuses, (id, status) => differs(ends.get(id), status)),
      ),
    ],
  };
}

/** What the statuses of the taken messages will be once every webhook was delivered. */
export function expectedEnds(sends: readonly ReceivedSend[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { end } of sends) {
    if (end !== null) counts.set(end.status, (counts.get(end.status) ?? 0) + 1);
  }
  return counts;
}

interface MessageSends {
  taken: number;
  /** Of the one that was taken. */
  end: string | null;
}

function sendsByMessage(sends: readonly ReceivedSend[]): ReadonlyMap<string, MessageSends> {
  const byMessage = new Map<string, MessageSends>();
  for (const { bizOpaqueCallbackData, end } of sends) {
    // Later attempts carry `<message id>.<attempt>`.
    const id = bizOpaqueCallbackData.slice(0, MESSAGE_ID_LENGTH);
    const message = byMessage.get(id) ?? { taken: 0, end: null };
    byMessage.set(id, message);
    if (end === null) continue;
    message.taken++;
    message.end = end.status;
  }
  return byMessage;
}

function differs(sends: MessageSends | undefined, status: string): boolean {
  return sends !== undefined && sends.end !== null && sends.end !== status;
}

function failureCounts(rows: readonly CsvRow[]): FailureCount[] {
  const counts = new Map<string, FailureCount>();
  for (const row of rows) {
    const status = columnOf(row, "status");
    if (status !== "failed" && !UNSENT_ENDS.has(status)) continue;
    const errorCode = columnOf(row, "error_code");
    const key = `${status} ${errorCode}`;
    const count = (counts.get(key)?.count ?? 0) + 1;
    counts.set(key, { status, errorCode, reason: columnOf(row, "error_reason"), count });
  }
  return [...counts.values()].toSorted((a, b) => b.count - a.count);
}

function idsWhere(
  statuses: ReadonlyMap<string, string>,
  isMeant: (id: string, status: string) => boolean,
): readonly string[] {
  return [...statuses].filter(([id, status]) => isMeant(id, status)).map(([id]) => id);
}

function repeated(ids: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  return ids.filter((id) => seen.size === seen.add(id).size);
}

function named(sentence: string, ids: readonly string[]): string[] {
  if (ids.length === 0) return [];
  return [`${ids.length} ${sentence} (${ids.slice(0, NAMED_MAX).join(", ")}${ids.length > NAMED_MAX ? ", …" : ""})`];
}

function columnOf(row: CsvRow, name: string): string {
  return row.get(name) ?? "";
}
