// Many calls of the same kind, some at a time, so that ten thousand of them are no ten thousand open requests.

const AT_ONCE_MAX = 64;

/** Answers in the order of the items. The first one that fails fails all; those of its batch still run to their end. */
export async function inBatches<Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE_MAX) {
    // oxlint-disable-next-line no-await-in-loop -- the next batch waits on purpose
    results.push(...(await Promise.all(items.slice(start, start + AT_ONCE_MAX).map(work))));
  }
  return results;
}
