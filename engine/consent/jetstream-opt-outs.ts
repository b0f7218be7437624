// The opt-outs of a cluster: the same on all nodes, so that a STOP that one node heard counts on all. Each node's copy is
// in LMDB, where its actor threads read it.
//
// Two nodes that hear of one person at the same moment end with the later wish, whichever of them wrote last.

import { optOutsBucket } from "../runtime/jetstream-names.ts";
import { openSharedMap, type SharedMapOptions } from "../runtime/jetstream-shared-map.ts";
import type { SharedMap } from "../runtime/shared-map.ts";
import { type OptOutsReader, openOptOutsReader } from "./lmdb-opt-outs-reader.ts";
import { decodeOptOut, encodeOptOut } from "./opt-out-record.ts";
import type { OptOutPage, OptOutPageQuery, OptOutStore } from "./opt-out-store.ts";
import { isLater, type OptOut } from "./opt-out.ts";

/** Wishes a call of the map: it gives a call up after some seconds, and 2,000 take 0.2 s. */
const CLAIMS_MAX = 2_000;

/** @throws EngineError ERR_STORE_WRITE when the cluster does not answer. */
export async function openJetStreamOptOuts(options: Omit<SharedMapOptions, "bucket">): Promise<OptOutStore> {
  const bucket = optOutsBucket(options.link.prefix);
  const map = await openSharedMap<string>({ ...options, bucket });
  return new SharedOptOuts(map, openOptOutsReader({ path: options.path }));
}

class SharedOptOuts implements OptOutStore {
  readonly #map: SharedMap<string>;
  readonly #reader: OptOutsReader;

  constructor(map: SharedMap<string>, reader: OptOutsReader) {
    this.#map = map;
    this.#reader = reader;
  }

  /** From memory: there it is even where this node's disk is full. */
  get(key: string): OptOut | undefined {
    const text = this.#map.get(key);
    return text === undefined ? undefined : decodeOptOut(text);
  }

  page(query: OptOutPageQuery): OptOutPage {
    return this.#reader.page(query);
  }

  async keep(wishes: ReadonlyMap<string, OptOut>): Promise<number> {
    const claims = Array.from(wishes, ([key, wish]) => [key, encodeOptOut(wish)] as const);
    let kept = 0;
    for (let start = 0; start < claims.length; start += CLAIMS_MAX) {
      const part = claims.slice(start, start + CLAIMS_MAX);
      const before = part.map(([key]) => this.#map.get(key));
      // oxlint-disable-next-line no-await-in-loop -- each has its own time to be done in
      const there = await this.#map.claimAll(part, isKnown);
      for (const [index, [, text]] of part.entries()) if (there[index] === text && before[index] !== text) kept++;
    }
    return kept;
  }

  async close(): Promise<void> {
    await this.#reader.close();
    await this.#map.close();
  }
}

/** What is there was not said before it. */
function isKnown(there: string, wish: string): boolean {
  return !isLater(decodeOptOut(wish), decodeOptOut(there));
}
