// Progress for a person: a bar on a terminal, and silence elsewhere, where a log would only fill with bars.

import cliProgress from "cli-progress";

import type { Terminal } from "./stdout-terminal.ts";

export interface ProgressBar {
  update(done: number): void;
  setTotal(total: number): void;
  stop(): void;
}

const SILENT: ProgressBar = { update: () => {}, setTotal: () => {}, stop: () => {} };

/** @param total 0 when it is not known yet. */
export function startProgressBar(terminal: Terminal, label: string, total: number): ProgressBar {
  if (!terminal.isWatched) return SILENT;
  const bar = new cliProgress.SingleBar({
    format: `${label} {bar} {value}/{total} · {percentage} % · {duration_formatted}`,
    stream: process.stderr,
    barCompleteChar: "█",
    barIncompleteChar: "░",
    barsize: 30,
    hideCursor: true,
    fps: 10,
  });
  bar.start(total, 0);
  return {
    update: (done) => bar.update(done),
    setTotal: (known) => bar.setTotal(known),
    stop: () => bar.stop(),
  };
}
