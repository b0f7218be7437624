// What is done again and again until somebody ends it.

import type { Clock } from "./clock.ts";

/** Calls every `everyMs`, the first time after that. @returns The function that ends it. */
export function repeat(clock: Clock, everyMs: number, call: () => void): () => void {
  let cancel: (() => void) | null = null;
  const again = (): void => {
    cancel = clock.after(everyMs, () => {
      again();
      call();
    });
  };
  again();
  return () => cancel?.();
}
