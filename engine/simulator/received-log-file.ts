// The append-only file of what the simulator received: one JSON line a send, in order of arrival.

import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { dirname } from "node:path";

import type { ReceivedSend } from "./received-send.ts";

export class ReceivedLogFile {
  readonly #descriptor: number;
  #lines: string[] = [];
  #isOpen = true;

  /** Opens for appending; creates the file and its folder. */
  constructor(file: string) {
    mkdirSync(dirname(file), { recursive: true });
    this.#descriptor = openSync(file, "a");
  }

  /** Written with the next {@link flush}: one write for many lines. */
  add(send: ReceivedSend): void {
    this.#lines.push(JSON.stringify(send));
  }

  flush(): void {
    if (this.#lines.length === 0 || !this.#isOpen) return;
    const bytes = Buffer.from(`${this.#lines.join("\n")}\n`);
    this.#lines = [];
    let offset = 0;
    while (offset < bytes.length) offset += writeSync(this.#descriptor, bytes, offset);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.flush();
    this.#isOpen = false;
    closeSync(this.#descriptor);
  }
}
