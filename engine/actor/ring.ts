// A first-in-first-out queue in a circular array: every operation costs the same at any length, where
// `Array.shift` moves the whole rest of a long array.

const CAPACITY_MIN = 8;

export class Ring<Item> {
  #slots: (Item | undefined)[] = [];
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: Item): void {
    if (this.#length === this.#slots.length) this.#grow();
    this.#slots[(this.#head + this.#length) & (this.#slots.length - 1)] = item;
    this.#length++;
  }

  peek(): Item | undefined {
    return this.#slots[this.#head];
  }

  shift(): Item | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#slots[this.#head];
    this.#slots[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#slots.length - 1);
    this.#length--;
    // An idle campaign must not keep the memory of its busiest moment.
    if (this.#length === 0 && this.#slots.length > CAPACITY_MIN) this.#reset();
    return item;
  }

  /** Takes one item out of the middle. Costs the length: for rare events only. */
  remove(item: Item): boolean {
    let isFound = false;
    for (let left = this.#length; left > 0; left--) {
      const next = this.shift();
      if (next === item && !isFound) isFound = true;
      else if (next !== undefined) this.push(next);
    }
    return isFound;
  }

  #reset(): void {
    this.#slots = [];
    this.#head = 0;
  }

  // The capacity stays a power of two, so that a mask replaces the remainder.
  #grow(): void {
    const capacity = Math.max(CAPACITY_MIN, this.#slots.length * 2);
    const slots: (Item | undefined)[] = Array.from({ length: capacity });
    for (let index = 0; index < this.#length; index++) {
      slots[index] = this.#slots[(this.#head + index) & (this.#slots.length - 1)];
    }
    this.#slots = slots;
    this.#head = 0;
  }
}
