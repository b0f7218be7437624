// Where opt-outs are kept: in LMDB of one engine, or in a map that all nodes of a cluster share.

import type { OptOut } from "./opt-out.ts";

export interface OptOutStore {
  /** By identity (phone-identity.ts). */
  get(key: string): OptOut | undefined;
  /** In order of the keys. */
  page(query: OptOutPageQuery): OptOutPage;
  /**
   * Keeps each wish unless one is known that was not said before it. Resolves once that is durable.
   *
   * @returns how many were kept.
   * @throws EngineError ERR_STORE_WRITE. In a cluster some of them may be kept then: repeat it.
   */
  keep(wishes: ReadonlyMap<string, OptOut>): Promise<number>;
  close(): Promise<void>;
}

export interface OptOutPageQuery {
  /** The key after which it begins; null: from the first. */
  readonly after: string | null;
  readonly limit: number;
}

export interface OptOutPage {
  /** Those who are opted out. May be empty although there is more: the search looks at a bounded number of rows. */
  readonly optOuts: readonly OptOut[];
  /** The key to go on after; null: this was all. */
  readonly next: string | null;
}
