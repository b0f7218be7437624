// CSV exports on threads of their own: the main thread only hands chunks on, at the pace of whoever reads them.

import { MessageChannel, type MessagePort } from "node:worker_threads";

import { Piscina } from "piscina";

import type { CsvQuery } from "./export/csv-job.ts";
import type { ExportMessage, ExportTask } from "./export-thread.ts";
import { EngineError, messageOf } from "./runtime/errors.ts";

export interface ExportSink {
  /** Resolves once there is room for more; false when nobody reads any more. */
  write(chunk: Uint8Array): Promise<boolean>;
}

export interface ExportResult {
  /** Messages handed on. */
  readonly rows: number;
  /** False when the sink wanted no more of them. */
  readonly isComplete: boolean;
}

export interface ExportPool {
  /**
   * Writes the messages that were accepted before the call as CSV, the header first. Never holds up dispatch.
   * @throws EngineError ERR_EXPORT_FAILED when the thread fails, too many exports wait, or the pool closes.
   */
  exportCsv(query: CsvQuery, sink: ExportSink): Promise<ExportResult>;
  /** Ends running exports and their threads. */
  close(): Promise<void>;
}

/** Chunks of 64 KiB between a thread and the sink: half a megabyte an export. */
const CHUNKS_UNDER_WAY_MAX = 8;
/** Exports that wait for a thread; further ones are refused. */
const EXPORTS_WAITING_MAX = 32;
const THREAD_IDLE_MS = 30_000;

export function createExportPool(options: {
  /** One a partition, in their order. */
  readonly ledgerPaths: readonly string[];
  /** Exports that run at once. */
  readonly threads: number;
}): ExportPool {
  const pool = new Piscina<ExportTask, void>({
    filename: new URL("./export-thread.js", import.meta.url).href,
    minThreads: 0,
    maxThreads: options.threads,
    idleTimeout: THREAD_IDLE_MS,
    maxQueue: EXPORTS_WAITING_MAX,
    // piscina's default freezes an idle thread's event loop.
    atomics: "disabled",
    recordTiming: false,
  });
  const running = new Set<Inbox>();
  let isClosed = false;

  return {
    async exportCsv(query, sink) {
      if (isClosed) throw failed("the engine is stopping");
      const { port1, port2 } = new MessageChannel();
      const inbox = new Inbox(port1);
      running.add(inbox);
      const task = { ledgerPaths: options.ledgerPaths, query, port: port2, creditsMax: CHUNKS_UNDER_WAY_MAX };
      const work = pool.run(task, { transferList: [port2] }).catch((error: unknown) => inbox.fail(messageOf(error)));
      try {
        return await handOn(inbox, sink);
      } finally {
        inbox.close();
        running.delete(inbox);
        await work;
      }
    },
    async close() {
      isClosed = true;
      for (const inbox of running) {
        inbox.fail("the engine is stopping");
        // Its thread may wait for credits that a stalled reader never gives.
        inbox.close();
      }
      await pool.close();
    },
  };
}

async function handOn(inbox: Inbox, sink: ExportSink): Promise<ExportResult> {
  let rows = 0;
  for (;;) {
    // oxlint-disable-next-line no-await-in-loop -- one after the other is the order of the file
    const message = await inbox.next();
    if (message.kind === "end") return { rows, isComplete: true };
    // oxlint-disable-next-line no-await-in-loop -- the sink's pace is the export's
    const isWanted = await sink.write(message.bytes);
    if (!isWanted) return { rows, isComplete: false };
    rows += message.rows;
    inbox.giveCredit();
  }
}

/** What an export thread sent and was not yet handed on: never more than its credits. */
class Inbox {
  readonly #port: MessagePort;
  readonly #messages: ExportMessage[] = [];
  #failure: EngineError | null = null;
  #wake = (): void => undefined;

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", (message: ExportMessage) => {
      this.#messages.push(message);
      this.#wake();
    });
  }

  /** @throws EngineError once the export failed. */
  async next(): Promise<ExportMessage> {
    for (;;) {
      if (this.#failure !== null) throw this.#failure;
      const message = this.#messages.shift();
      if (message !== undefined) return message;
      // oxlint-disable-next-line no-await-in-loop -- woken by every message and by a failure
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  giveCredit(): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a MessagePort has no origin
    this.#port.postMessage(null);
  }

  fail(reason: string): void {
    this.#failure ??= failed(reason);
    this.#wake();
  }

  close(): void {
    this.#port.close();
  }
}

function failed(reason: string): EngineError {
  return new EngineError("ERR_EXPORT_FAILED", `the CSV export stopped: ${reason}`);
}
