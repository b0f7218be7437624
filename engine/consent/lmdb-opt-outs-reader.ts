// Opt-outs for whoever only reads them: an actor thread asks once a marketing message, at the moment it would leave.
// The main thread of the same process writes the table (lmdb-opt-outs.ts, or runtime/lmdb-map-copy.ts in a cluster).

import type { Database } from "lmdb";

import { type Environment, openEnvironment } from "../runtime/lmdb-commit.ts";
import { decodeOptOut, type OptOutRow } from "./opt-out-record.ts";
import type { OptOutPage, OptOutPageQuery } from "./opt-out-store.ts";
import type { OptOut } from "./opt-out.ts";
import { phoneIdentity } from "./phone-identity.ts";

/** The table's name in its environment: that of a shared map's copy. */
export const OPT_OUTS_TABLE = "rows";
/** Rows that one page may look at: people who took their opt-out back are skipped. */
const ROWS_A_PAGE_MAX = 5_000;

export class OptOutsReader {
  readonly #environment: Environment;
  readonly #table: Database<OptOutRow, string>;
  #readAtMs = 0;

  constructor(environment: Environment) {
    this.#environment = environment;
    this.#table = environment.openDB({ name: OPT_OUTS_TABLE, encoding: "json" });
  }

  /** What is known of the number, in whichever form it is written. As committed before the millisecond `nowMs` began, or later. */
  find(phoneNumber: string, nowMs: number): OptOut | undefined {
    const key = phoneIdentity(phoneNumber);
    if (key === null) return undefined;
    if (nowMs !== this.#readAtMs) {
      // Else a long turn of the event loop would go on with the state of its beginning.
      this.#environment.resetReadTxn();
      this.#readAtMs = nowMs;
    }
    return decoded(this.#table.get(key));
  }

  get(key: string): OptOut | undefined {
    this.#environment.resetReadTxn();
    return decoded(this.#table.get(key));
  }

  page({ after, limit }: OptOutPageQuery): OptOutPage {
    this.#environment.resetReadTxn();
    const optOuts: OptOut[] = [];
    let looked = 0;
    let next: string | null = null;
    const start = after === null ? {} : { start: after, exclusiveStart: true };
    for (const { key, value } of this.#table.getRange(start)) {
      if (optOuts.length === limit || looked === ROWS_A_PAGE_MAX) return { optOuts, next };
      const optOut = decoded(value);
      if (optOut?.isOptedOut === true) optOuts.push(optOut);
      next = key;
      looked++;
    }
    return { optOuts, next: null };
  }

  close(): Promise<void> {
    return this.#environment.close();
  }
}

/** @param path the folder of the table. */
export function openOptOutsReader({ path }: { readonly path: string }): OptOutsReader {
  return new OptOutsReader(openEnvironment(path));
}

function decoded(row: OptOutRow | undefined): OptOut | undefined {
  return row?.value === undefined ? undefined : decodeOptOut(row.value);
}
