// Exceptions are for "the caller cannot go on". What is expected (invalid, duplicate, throttled) is a value.
// Match on `code`, never on class: classes do not survive a thread boundary.

/** Every code the engine throws, with what it means; docs/errors.md is tested against this table. */
export const ERROR_CODES = {
  ERR_CONFIG_INVALID: "The configuration has a fault; the message names file, line, path and the nearest known key.",
  ERR_CONFIG_UNREADABLE: "A configuration file cannot be read.",
  ERR_DATA_LOCKED: "Another engine already works in this data directory.",
  ERR_INGRESS_LISTEN: "The address cannot be listened on.",
  ERR_INGRESS_NATIVE_MISSING: "No uWebSockets.js binary loads on this machine.",
  ERR_INGRESS_NATIVE_UNVERIFIED: "The uWebSockets.js binary is not one of those this release was tested with.",
  ERR_STREAM_WRITE: "The stream could not make events durable (disk full or failing).",
  ERR_NATS_CONNECT: "No NATS server answers, or JetStream does not answer in time.",
  ERR_NATS_REFUSED: "A NATS server refuses these credentials, this certificate, these rights or these sizes.",
  ERR_NATS_MISMATCH: "A JetStream stream exists with settings other than those the engine needs.",
  ERR_CLUSTER_UNAVAILABLE: "The node that would have to do it does not answer.",
  ERR_PARTITION_FENCED: "Another node took this partition over, so that this one may not write its ledger any more.",
  ERR_LEDGER_WRITE: "The ledger could not make records durable (disk full or failing).",
  ERR_STORE_WRITE:
    "Keys, campaigns or opt-outs could not be made durable (disk full or failing), or there are too many of them.",
  ERR_WHATSAPP_TEMPLATES: "The list of an account's templates could not be read from WhatsApp.",
  ERR_WHATSAPP_MANAGEMENT: "WhatsApp's management side refused a question, or does not answer.",
  ERR_ACTOR_CRASHED: "An actor thread crashed more often than it may be restarted.",
  ERR_EXPORT_FAILED: "The CSV export stopped before its end.",
  ERR_CLI_USAGE: "The command line asks for something that does not exist.",
  ERR_CLI_API: "The engine refused the command, or cannot be reached.",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export class EngineError extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "EngineError";
    this.code = code;
  }
}

/** The sentence of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
