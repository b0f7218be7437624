// The one that writes a partition's entries: after a take-up, until it is given up or another owner wrote.

import { randomBytes } from "node:crypto";

import { EngineError } from "../runtime/errors.ts";
import { publishEntry } from "./jetstream-ledger-publish.ts";
import { isOwnPast, reconcile, type ReplicatedTable } from "./jetstream-ledger-reconcile.ts";
import { type LastMessage, type StreamEnd, streamEnd } from "./jetstream-ledger-search.ts";
import { type EntryRow, type LedgerEntry, TERM_LENGTH } from "./ledger-entry.ts";
import { checkMarks, type LedgerBatch } from "./lmdb-ledger.ts";
import { encodeRecord } from "./record.ts";
import { encodeCampaignState } from "./state-record.ts";

export type TakeUp =
  | { readonly kind: "taken"; readonly owner: LedgerOwner }
  /** The table is not at the end, or has another past: it must follow first. */
  | { readonly kind: "behind" }
  /** Somebody wrote meanwhile: look again. */
  | { readonly kind: "overtaken" };

/** Nobody can guess or repeat it. */
function randomTerm(): string {
  return randomBytes(TERM_LENGTH / 2).toString("hex");
}

/** One try to write the first entry of a new term behind all others. */
export async function tryTakeUp(table: ReplicatedTable, signal: AbortSignal): Promise<TakeUp> {
  const { ledger, clock, subject, partition, log } = table;
  if (ledger.isClearing()) return { kind: "behind" };
  const reconciled = await reconcile(table, signal);
  const { index, term: baseTerm } = ledger.position();
  if (reconciled.kind === "forked" || (reconciled.end.entry?.head.index ?? 0) > index) return { kind: "behind" };
  // A term of its own for each try: one that was stored after all, unnoticed, is then another owner's like any other.
  const place = { index: index + 1, term: randomTerm(), baseIndex: index, baseTerm };
  const entry = { ...NOTHING_CHANGED, ...place, atMs: clock.nowMs() };
  const behind = reconciled.end.last;
  const published = await publishEntry(table, { subject, entry, behind, nonce: "" }, signal);
  if (published.kind === "conflict") return { kind: "overtaken" };
  await ledger.apply([entry]);
  log.info("ledger.taken_up", { partition, index: entry.index, term: entry.term });
  return { kind: "taken", owner: new LedgerOwner(table, published.last, signal) };
}

export class LedgerOwner {
  readonly #table: ReplicatedTable;
  readonly #signal: AbortSignal;
  #last: LastMessage;

  constructor(table: ReplicatedTable, last: LastMessage, signal: AbortSignal) {
    this.#table = table;
    this.#last = last;
    this.#signal = signal;
  }

  /** Encodes before it returns. After a failure nothing more may be written: what became of this one is unknown. */
  async write(batch: LedgerBatch): Promise<void> {
    const { ledger, clock } = this.#table;
    const { index, term } = ledger.position();
    const place = { index: index + 1, term, baseIndex: index, baseTerm: term };
    const entry = { ...changesOf(batch), ...place, atMs: clock.nowMs(), terms: null };
    await this.#store(entry);
    await ledger.apply([entry]);
  }

  async #store(entry: LedgerEntry): Promise<void> {
    const { subject } = this.#table;
    for (let attempt = 0; ; attempt++) {
      // Again under another name: a server may remember the first one's and have lost the message.
      const nonce = attempt === 0 ? "" : randomTerm();
      const publication = { subject, entry, behind: this.#last, nonce };
      // oxlint-disable-next-line no-await-in-loop -- again only when the stream lost something
      const published = await publishEntry(this.#table, publication, this.#signal);
      if (published.kind === "stored") {
        this.#last = published.last;
        return;
      }
      // oxlint-disable-next-line no-await-in-loop
      if (await this.#isStoredAfterAll(entry)) return;
    }
  }

  /**
   * Another message is last. Either the stream lost its tail: that is given back, and the entry must be sent again. Or
   * a follower that had the entry already gave it back. Anything else is another owner's.
   */
  async #isStoredAfterAll(entry: LedgerEntry): Promise<boolean> {
    const { ledger } = this.#table;
    let end = await streamEnd(this.#table, this.#signal);
    if (end.entry === null || isOwnPast(ledger, end.entry.head)) {
      const reconciled = await reconcile(this.#table, this.#signal);
      if (reconciled.kind === "forked") throw this.#fenced(entry, end);
      end = reconciled.end;
    }
    this.#last = end.last;
    const head = end.entry?.head;
    if (head?.index === entry.index && head.term === entry.term) return true;
    const own = ledger.position();
    if (head?.index === own.index && head.term === own.term) return false;
    throw this.#fenced(entry, end);
  }

  #fenced({ index, term }: LedgerEntry, end: StreamEnd): EngineError {
    const { partition, log } = this.#table;
    const by = end.entry?.head;
    log.warn("ledger.fenced", { partition, index, term, otherIndex: by?.index, otherTerm: by?.term });
    const sentence = `partition ${partition} was taken over: entry ${by?.index} of its ledger is another owner's`;
    return new EngineError("ERR_PARTITION_FENCED", sentence);
  }
}

const NOTHING_CHANGED = {
  rows: [],
  campaigns: [],
  marks: [],
  cursor: null,
  cursorId: "",
  lastDispatchAtMs: null,
  terms: null,
} as const satisfies Partial<LedgerEntry>;

function changesOf(
  batch: LedgerBatch,
): Pick<LedgerEntry, "rows" | "campaigns" | "marks" | "cursor" | "cursorId" | "lastDispatchAtMs"> {
  checkMarks(batch.marks);
  const rows: EntryRow[] = [];
  for (const record of batch.created) {
    rows.push([record.messageId, encodeRecord(record), record.dueAtMs, null, record.phoneNumber]);
  }
  for (const { record, previousDueAtMs } of batch.updated) {
    rows.push([record.messageId, encodeRecord(record), record.dueAtMs, previousDueAtMs, null]);
  }
  const campaigns = batch.campaigns.map((state) => [state.campaignNumber, encodeCampaignState(state)] as const);
  const marks = batch.marks.map(({ key, value }) => [key, value] as const);
  const { cursor, cursorId = "", lastDispatchAtMs } = batch;
  return { rows, campaigns, marks, cursor, cursorId, lastDispatchAtMs };
}
