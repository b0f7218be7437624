// A coarse timer wheel: tens of thousands of answers and statuses wait at once, and a timer of the runtime for each
// would cost more than the work itself. Whoever owns the wheel advances it; it knows no clock.

interface Slot<Item> {
  items: Item[];
  ticks: number[];
}

/** Longer waits stay in their slot and are looked at once a turn. */
const SLOTS = 4096;

export class TimerWheel<Item> {
  readonly #tickMs: number;
  readonly #slots: Slot<Item>[] = [];
  #tick: number;
  #size = 0;

  /** @param tickMs resolution: an item is due at most this much late, never early. */
  constructor(tickMs: number, nowMs: number) {
    this.#tickMs = tickMs;
    this.#tick = Math.floor(nowMs / tickMs);
    for (let slot = 0; slot < SLOTS; slot++) this.#slots.push({ items: [], ticks: [] });
  }

  /** Items that wait. */
  get size(): number {
    return this.#size;
  }

  add(item: Item, dueAtMs: number): void {
    this.#put(item, Math.max(Math.ceil(dueAtMs / this.#tickMs), this.#tick + 1));
    this.#size++;
  }

  /** Calls `due` for every item whose time has come, in order of time (to a tick). `due` may add items. */
  advance(nowMs: number, due: (item: Item) => void): void {
    const target = Math.floor(nowMs / this.#tickMs);
    // After a long gap one turn meets every slot; more turns would meet the same slots again.
    const first = Math.max(this.#tick + 1, target - SLOTS + 1);
    for (let tick = first; tick <= target; tick++) {
      this.#tick = tick;
      const slot = this.#slots[tick % SLOTS];
      if (slot !== undefined && slot.items.length > 0) this.#empty(slot, target, due);
    }
  }

  #empty(slot: Slot<Item>, throughTick: number, due: (item: Item) => void): void {
    const { items, ticks } = slot;
    // Taken out first: `due` may add to this very slot.
    slot.items = [];
    slot.ticks = [];
    for (const [index, item] of items.entries()) {
      const tick = ticks[index] ?? 0;
      if (tick > throughTick) {
        this.#put(item, tick);
        continue;
      }
      this.#size--;
      due(item);
    }
  }

  #put(item: Item, tick: number): void {
    const slot = this.#slots[tick % SLOTS];
    if (slot === undefined) return;
    slot.items.push(item);
    slot.ticks.push(tick);
  }
}
