// SIGINT and SIGTERM, for the commands that keep running: the first one asks for an orderly end, the second one, or
// too long a wait, ends the process as it is. A kill at any point is as correct, only less polite.

import type { Terminal } from "./stdout-terminal.ts";

const SHUTDOWN_GRACE_MS = 30_000;

/** Resolves with the first signal's name. */
export function firstSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => resolve(signal));
  });
}

/** Runs `stop`; a further signal or SHUTDOWN_GRACE_MS ends the process with 1. */
export async function stopOrExit(stop: () => Promise<void>, terminal: Terminal): Promise<void> {
  const giveUp = (reason: string): void => {
    terminal.say(`volley: ended at once: ${reason}`);
    process.exit(1);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => giveUp(`second ${signal}`));
  const timer = setTimeout(() => giveUp(`not drained within ${SHUTDOWN_GRACE_MS / 1000} s`), SHUTDOWN_GRACE_MS);
  timer.unref();
  await stop();
  clearTimeout(timer);
}
