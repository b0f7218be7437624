// How many sends arrived within any window of time: what a limit is measured by, at the far end.

/** @param times in any order, in milliseconds. @returns the most within any `windowMs`, wherever it begins. */
export function mostWithin(windowMs: number, times: readonly number[]): number {
  const sorted = times.toSorted((one, other) => one - other);
  let most = 0;
  let first = 0;
  sorted.forEach((at, last) => {
    while ((sorted[first] ?? at) <= at - windowMs) first++;
    most = Math.max(most, last - first + 1);
  });
  return most;
}

/** The times of what `key` tells apart. */
export function timesBy<Item>(
  items: readonly Item[],
  key: (item: Item) => string,
  time: (item: Item) => number,
): ReadonlyMap<string, readonly number[]> {
  const groups = new Map<string, number[]>();
  for (const item of items) {
    const known = groups.get(key(item));
    if (known === undefined) groups.set(key(item), [time(item)]);
    else known.push(time(item));
  }
  return groups;
}
