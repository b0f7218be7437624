// Composition root of an export thread: the ledgers, read only, through csv-job.ts, into a port.
//
// A piscina worker file: it runs one export at a time. Chunks go to the main thread as fast as that hands back
// credits, so a slow reader costs a few chunks of memory and never more. A port closed by the receiver ends the export.

import type { MessagePort } from "node:worker_threads";

import { csvJob, type CsvLedger, type CsvQuery } from "./export/csv-job.ts";
import { openLedger } from "./ledger/lmdb-ledger.ts";

export interface ExportTask {
  /** One a partition, in their order. */
  readonly ledgerPaths: readonly string[];
  readonly query: CsvQuery;
  /** Takes one message a chunk handed on; gives {@link ExportMessage}s. */
  readonly port: MessagePort;
  /** Chunks that may be under way at once. */
  readonly creditsMax: number;
}

export type ExportMessage =
  | { readonly kind: "chunk"; readonly bytes: Uint8Array; readonly rows: number }
  | { readonly kind: "end" };

const ledgers = new Map<string, CsvLedger>();

export default async function exportCsv(task: ExportTask): Promise<void> {
  const { port, creditsMax } = task;
  const credits = new Credits(port, creditsMax);
  for (const { bytes, rows } of csvJob(task.ledgerPaths.map(ledgerOf), task.query)) {
    // An empty chunk is a pause: it takes a turn of the event loop, in which the port may turn out closed.
    // oxlint-disable-next-line no-await-in-loop -- backpressure is the point
    const isWanted = bytes.length > 0 ? await credits.take() : await credits.pause();
    if (!isWanted) return;
    if (bytes.length > 0) send(port, { kind: "chunk", bytes, rows }, [bytes.buffer]);
  }
  // The receiver closes the port once it has this.
  send(port, { kind: "end" }, []);
}

function send(port: MessagePort, message: ExportMessage, transfer: ArrayBuffer[]): void {
  port.postMessage(message, transfer);
}

function ledgerOf(path: string, partition: number): CsvLedger {
  const known = ledgers.get(path);
  if (known !== undefined) return known;
  const ledger = openLedger({ path, readOnly: true });
  const opened: CsvLedger = { partition, summaries: (range) => ledger.summaries(range) };
  ledgers.set(path, opened);
  return opened;
}

class Credits {
  #left: number;
  #isClosed = false;
  #wake: (() => void) | null = null;

  constructor(port: MessagePort, creditsMax: number) {
    this.#left = creditsMax;
    port.on("message", () => {
      this.#left += 1;
      this.#wake?.();
    });
    port.on("close", () => {
      this.#isClosed = true;
      this.#wake?.();
    });
  }

  /** Waits for room for one chunk; false once the port is closed. */
  async take(): Promise<boolean> {
    while (this.#left === 0 && !this.#isClosed) {
      // oxlint-disable-next-line no-await-in-loop -- woken by every credit
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#left -= 1;
    return !this.#isClosed;
  }

  /** Waits a turn of the event loop; false once the port is closed. */
  async pause(): Promise<boolean> {
    await new Promise((resolve) => setImmediate(resolve));
    return !this.#isClosed;
  }
}
