// Where a command writes: data on standard output, everything said to a person on standard error, so that
// `volley … --json | jq` and `volley export … > file.csv` always get data only.

import { once } from "node:events";

export interface Terminal {
  /** A line of data. */
  print(line: string): void;
  /** A line for the person. */
  say(line: string): void;
  /** Bytes of data; resolves once there is room for more. */
  write(chunk: Uint8Array): Promise<void>;
  /** Whether a person watches: then a progress bar may be drawn on standard error. */
  readonly isWatched: boolean;
}

export const systemTerminal: Terminal = {
  print: (line) => void process.stdout.write(`${line}\n`),
  say: (line) => void process.stderr.write(`${line}\n`),
  async write(chunk) {
    if (!process.stdout.write(chunk)) await once(process.stdout, "drain");
  },
  isWatched: process.stderr.isTTY && process.env["CI"] === undefined,
};
