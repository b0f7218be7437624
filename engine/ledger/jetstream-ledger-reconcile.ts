// What a table and the LEDGER stream owe each other when they do not agree.
//
// An answer of nats-server is no fsync: a power cut can take the newest messages that it had said were stored. A
// table that has their entries gives them back as one catch-up entry. If a node without them took the partition over
// before that, the stream has another past than the table: a fork. The table is then filled anew from the stream,
// and what only it knew is handed over to whoever can tell the present owner.

import { randomBytes } from "node:crypto";

import type { MessageRecord } from "../message/message-record.ts";
import { type EntryHead, type EntryRow, isSameTerm, type LedgerEntry } from "./ledger-entry.ts";
import { publishEntry } from "./jetstream-ledger-publish.ts";
import {
  commonPast,
  type FoundMessage,
  pause,
  type SearchedStream,
  type StreamEnd,
  streamEnd,
} from "./jetstream-ledger-search.ts";
import type { LedgerChanges } from "./ledger-reader.ts";
import type { Ledger } from "./lmdb-ledger.ts";
import { encodeCampaignState } from "./state-record.ts";

export interface ReplicatedTable extends SearchedStream {
  readonly partition: number;
  readonly subject: string;
  readonly ledger: Ledger;
  /** Rows as this table has them, of which the stream knows another course. Called once or more, awaited. */
  onFork(records: readonly MessageRecord[]): Promise<void>;
}

export type Reconciled =
  /** The stream's newest entry is the table's, or a later one. */
  { readonly kind: "held"; readonly end: StreamEnd } | { readonly kind: "forked" };

/** Rows that onFork gets at once. */
const FORK_ROWS_MAX = 1_000;
const NONCE_BYTES = 6;
/** Somebody else is in the middle of the same. */
const CONFLICT_PAUSE_MS = 100;

/** Gives the stream back what it lost. Safe from several nodes at once: one of them does it. */
export async function reconcile(table: ReplicatedTable, signal: AbortSignal): Promise<Reconciled> {
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- again only when somebody else wrote meanwhile
    const end = await streamEnd(table, signal);
    const own = table.ledger.position();
    const endIndex = end.entry?.head.index ?? 0;
    if (endIndex <= own.index && end.entry !== null && !isOwnPast(table.ledger, end.entry.head)) {
      return { kind: "forked" };
    }
    if (endIndex >= own.index) return { kind: "held", end };
    // oxlint-disable-next-line no-await-in-loop
    const isDone = await publishCatchUp(table, end, signal);
    // oxlint-disable-next-line no-await-in-loop
    if (!isDone) await pause(table.clock, CONFLICT_PAUSE_MS, signal);
  }
}

/** Whether the table, which is not behind it, has the same entry there. */
export function isOwnPast(ledger: Ledger, { index, term }: Pick<EntryHead, "index" | "term">): boolean {
  return index <= ledger.position().index && isSameTerm(ledger.termAt(index), term);
}

export type ForkResolved =
  /** The table is empty now, to be filled from the stream. */
  | { readonly kind: "emptied" }
  /** There is no fork: all that the table has is in the stream, up to this message. What does not fit comes behind it. */
  | { readonly kind: "contradicted"; readonly after: FoundMessage };

/** Hands over what only this table knows, then empties it. */
export async function resolveFork(table: ReplicatedTable, signal: AbortSignal): Promise<ForkResolved> {
  const { ledger, partition, log } = table;
  const common = await commonPast(table, (head) => isOwnPast(ledger, head), signal);
  const { index } = ledger.position();
  if (common.message !== null && common.index === index) return { kind: "contradicted", after: common.message };
  const { messageIds, baseIndex } = ledger.changesAfter(common.index);
  log.error("ledger.forked", {
    partition,
    index,
    commonIndex: common.index,
    rememberedFrom: baseIndex,
    rows: messageIds.size,
    why: "another node took over without this node's newest entries, which the stream had lost",
  });
  await handOver(table, messageIds);
  signal.throwIfAborted();
  await ledger.clear();
  return { kind: "emptied" };
}

async function handOver({ ledger, onFork }: ReplicatedTable, messageIds: ReadonlySet<string>): Promise<void> {
  let records: MessageRecord[] = [];
  for (const messageId of messageIds) {
    const record = ledger.get(messageId);
    if (record !== undefined) records.push(record);
    if (records.length < FORK_ROWS_MAX) continue;
    // oxlint-disable-next-line no-await-in-loop -- bounded in memory
    await onFork(records);
    records = [];
  }
  if (records.length > 0) await onFork(records);
}

async function publishCatchUp(table: ReplicatedTable, end: StreamEnd, signal: AbortSignal): Promise<boolean> {
  const { partition, subject, ledger, log } = table;
  const endIndex = end.entry?.head.index ?? 0;
  const changes = ledger.changesAfter(endIndex);
  const entry = catchUpEntry(ledger, changes, table.clock.nowMs());
  const nonce = randomBytes(NONCE_BYTES).toString("hex");
  const published = await publishEntry(table, { subject, entry, behind: end.last, nonce }, signal);
  if (published.kind === "conflict") return false;
  const fields = { partition, streamIndex: endIndex, index: entry.index, rows: entry.rows.length };
  log.warn("ledger.caught_up", fields);
  if (changes.baseIndex <= endIndex) return true;
  // A stream of which everything has aged out lost nothing that anybody misses.
  const isAged = end.newest === null && end.last.sequence > 0;
  log[isAged ? "info" : "error"]("ledger.history_lost", {
    ...fields,
    rememberedFrom: changes.baseIndex,
    why: "older entries are in no stream: a new node must begin with a copy of this node's data folder",
  });
  return true;
}

function catchUpEntry(ledger: Ledger, changes: LedgerChanges, atMs: number): LedgerEntry {
  const { index, term } = ledger.position();
  const { sequence, id } = ledger.cursorPosition();
  const rows: EntryRow[] = [];
  for (const messageId of changes.messageIds) {
    const row = ledger.row(messageId);
    if (row !== undefined) rows.push(row);
  }
  return {
    index,
    term,
    baseIndex: changes.baseIndex,
    baseTerm: ledger.termAt(changes.baseIndex),
    atMs,
    rows,
    campaigns: [...changes.campaignNumbers].flatMap((campaignNumber) => {
      const state = ledger.campaignState(campaignNumber);
      return state === undefined ? [] : [[campaignNumber, encodeCampaignState(state)] as const];
    }),
    // One that is not there any more was removed.
    marks: [...changes.markKeys].map((key) => [key, ledger.mark(key) ?? null] as const),
    cursor: sequence,
    cursorId: id,
    lastDispatchAtMs: ledger.lastDispatchAt(),
    terms: ledger.termsFrom(changes.baseIndex + 1),
  };
}
