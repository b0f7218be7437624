// What the other partitions sent to a person of marketing: the frequency cap holds over all numbers of the engine, and
// each partition keeps only its own. Their ledgers are read where they lie, the first time a cap makes it necessary.

import { departuresSince, marketingKey } from "./actor/frequency-cap.ts";
import type { LedgerReader } from "./ledger/ledger-reader.ts";
import { openLedger } from "./ledger/lmdb-ledger.ts";

interface OpenLedger {
  readonly partition: number;
  readonly ledger: Pick<LedgerReader, "mark">;
}

export class MarketingElsewhere {
  readonly #paths: readonly string[];
  /** Of this thread: they are open already. */
  readonly #own: readonly OpenLedger[];
  #others: readonly { readonly partition: number; readonly ledger: LedgerReader }[] | null = null;

  /** @param options.paths the ledgers' folders by partition. */
  constructor(options: { readonly paths: readonly string[]; readonly own: readonly OpenLedger[] }) {
    this.#paths = options.paths;
    this.#own = options.own;
  }

  /** Marketing messages to the number since then, of all partitions but this one. */
  sends(partition: number, phoneNumber: string, sinceMs: number): number {
    this.#others ??= this.#open();
    const key = marketingKey(phoneNumber);
    let count = 0;
    for (const other of [...this.#own, ...this.#others]) {
      const bytes = other.partition === partition ? undefined : other.ledger.mark(key);
      if (bytes !== undefined) count += departuresSince(bytes, sinceMs);
    }
    return count;
  }

  async close(): Promise<void> {
    await Promise.all((this.#others ?? []).map(({ ledger }) => ledger.close()));
    this.#others = null;
  }

  #open(): readonly { readonly partition: number; readonly ledger: LedgerReader }[] {
    const isOwn = (partition: number): boolean => this.#own.some((own) => own.partition === partition);
    return this.#paths
      .map((path, partition) => ({ path, partition }))
      .filter(({ partition }) => !isOwn(partition))
      .map(({ path, partition }) => ({ partition, ledger: openLedger({ path, readOnly: true }) }));
  }
}
