// Campaign and template files apply when they change: a change in one of the folders is told once the writing has
// been quiet for a moment, so that an editor's save, or a copy of many files, is one change.

import { existsSync, type FSWatcher, watch } from "node:fs";

import type { Clock } from "./runtime/clock.ts";
import { messageOf } from "./runtime/errors.ts";
import type { Log } from "./runtime/log.ts";

const QUIET_MS = 150;
/** What could not be applied (a cluster that does not answer) is tried again. */
const RETRY_MS = 5_000;

export interface FileWatchOptions {
  /** Folders that do not exist are left out. */
  readonly folders: readonly string[];
  onChange(): Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

/** @returns The function that ends the watch. */
export function watchFiles({ folders, onChange, clock, log }: FileWatchOptions): () => void {
  let cancel: (() => void) | null = null;
  const applyAfter = (delayMs: number): void => {
    cancel?.();
    cancel = clock.after(delayMs, () => {
      onChange().catch((error: unknown) => {
        log.error("files.unread", { reason: messageOf(error) });
        applyAfter(RETRY_MS);
      });
    });
  };
  const changed = (): void => applyAfter(QUIET_MS);
  const watchers = folders.filter((folder) => existsSync(folder)).map((folder) => watchFolder(folder, changed, log));
  return () => {
    cancel?.();
    for (const watcher of watchers) watcher.close();
  };
}

function watchFolder(folder: string, changed: () => void, log: Log): FSWatcher {
  const watcher = watch(folder, { persistent: false }, changed);
  watcher.on("error", (error) => log.error("files.unwatched", { folder, reason: messageOf(error) }));
  return watcher;
}
