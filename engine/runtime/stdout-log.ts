// The log as JSON lines on standard output, written by pino.

import { pino } from "pino";

import type { Log } from "./log.ts";

export interface StdoutLogOptions {
  /** Lines below this level are not written. Default `info`. */
  readonly level?: "info" | "warn" | "error" | "silent";
  /** Which thread speaks. */
  readonly thread?: string;
}

export function createStdoutLog(options: StdoutLogOptions = {}): Log {
  const logger = pino({
    level: options.level ?? "info",
    base: options.thread === undefined ? null : { thread: options.thread },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
  return {
    info: (event, fields) => logger.info({ event, ...fields }),
    warn: (event, fields) => logger.warn({ event, ...fields }),
    error: (event, fields) => logger.error({ event, ...fields }),
  };
}
