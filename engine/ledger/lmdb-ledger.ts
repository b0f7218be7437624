// types first, see below
import type { MessageRecord } from "../message/message-record.ts";
import type { CampaignState } from "./campaign-state.ts";
import type { LedgerReader } from "./ledger-reader.ts";

export interface LedgerBatch {
  /** New rows; also writes their phone index and, where `dueAtMs` > 0, their due entry. */
  readonly created: readonly MessageRecord[];
  /** Changed rows; moves their due entry from `previousDueAtMs`, the row's `dueAtMs` as last committed. */
  readonly updated: readonly { readonly record: MessageRecord; readonly previousDueAtMs: number }[];
  /** Sequence of the last stream envelope that these rows complete, or null to leave it. */
  readonly cursor: number | null;
  /** Campaigns whose state changed, whole. */
  readonly campaigns: readonly CampaignState[];
  /** Epoch milliseconds of the newest dispatch, or null to leave it. */
  readonly lastDispatchAtMs: number | null;
}

export interface Ledger extends LedgerReader {
  /**
   * One transaction for all of the batch; resolves once it is fsync'd, and every reader sees it from then on.
   * Records may be reused but must not be changed before that.
   * @throws EngineError ERR_LEDGER_WRITE; nothing of the batch is stored, and no later commit succeeds.
   */
  commit(batch: LedgerBatch): Promise<void>;
}

export function openLedger(options: { readonly path: string; readonly readOnly: true }): LedgerReader;
export function openLedger(options: { readonly path: string; readonly readOnly: false }): Ledger;
export function openLedger(_options: { readonly path: string; readonly readOnly: boolean }): Ledger {
  throw new Error("being written");
}
