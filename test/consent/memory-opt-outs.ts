// Opt-outs in a map, for tests of what stands before the store.

import type { OptOutPage, OptOutPageQuery, OptOutStore } from "../../engine/consent/opt-out-store.ts";
import { isLater, type OptOut } from "../../engine/consent/opt-out.ts";

export class MemoryOptOuts implements OptOutStore {
  readonly #rows = new Map<string, OptOut>();

  get(key: string): OptOut | undefined {
    return this.#rows.get(key);
  }

  page({ after, limit }: OptOutPageQuery): OptOutPage {
    const keys = [...this.#rows.keys()].toSorted().filter((key) => after === null || key > after);
    const page = keys.slice(0, limit);
    const optOuts = page.flatMap((key) => this.#rows.get(key) ?? []).filter(({ isOptedOut }) => isOptedOut);
    return { optOuts, next: keys.length > limit ? (page.at(-1) ?? null) : null };
  }

  async keep(wishes: ReadonlyMap<string, OptOut>): Promise<number> {
    let kept = 0;
    for (const [key, wish] of wishes) {
      const known = this.#rows.get(key);
      if (known !== undefined && !isLater(wish, known)) continue;
      this.#rows.set(key, wish);
      kept++;
    }
    return kept;
  }

  async close(): Promise<void> {}
}
