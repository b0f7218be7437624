// Who is to be looked at when: a binary heap of times. Adding and taking cost the logarithm of its size, asking
// for the earliest costs nothing, so that thousands of waiting campaigns cost a tick only those that are due.
//
// Entries are never taken out early: whoever gets an entry checks whether it still means anything.

export class Timetable<Item> {
  readonly #times: number[] = [];
  readonly #items: Item[] = [];

  get size(): number {
    return this.#items.length;
  }

  /** Infinity when there is nothing. */
  get earliest(): number {
    return this.#times[0] ?? Infinity;
  }

  add(time: number, item: Item): void {
    let at = this.#items.length;
    this.#times.push(time);
    this.#items.push(item);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if ((this.#times[parent] ?? 0) <= time) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#times[at] = time;
    this.#items[at] = item;
  }

  /** The item of the earliest time, if that is not after `time`. */
  takeThrough(time: number): Item | undefined {
    if (this.earliest > time) return undefined;
    const taken = this.#items[0];
    const lastTime = this.#times.pop();
    const lastItem = this.#items.pop();
    if (lastTime !== undefined && lastItem !== undefined && this.#items.length > 0) this.#sink(lastTime, lastItem);
    return taken;
  }

  #sink(time: number, item: Item): void {
    const size = this.#items.length;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= size) break;
      if (child + 1 < size && (this.#times[child + 1] ?? 0) < (this.#times[child] ?? 0)) child++;
      if ((this.#times[child] ?? 0) >= time) break;
      this.#move(child, at);
      at = child;
    }
    this.#times[at] = time;
    this.#items[at] = item;
  }

  #move(from: number, to: number): void {
    this.#times[to] = this.#times[from] ?? 0;
    const item = this.#items[from];
    if (item !== undefined) this.#items[to] = item;
  }
}
