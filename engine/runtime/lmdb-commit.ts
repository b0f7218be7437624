// Durable commits to one LMDB environment, one after the other, and what happens when one fails.
//
// A failed commit latches the environment: lmdb-js aborts the whole process at the sixth or seventh failed commit on
// a full disk (malloc corruption, measured), and after an EIO the kernel may report success although pages are
// gone. So the first failure is the last write; readers go on.

import { statfsSync } from "node:fs";

import { type Database, open, type RootDatabaseOptionsWithPath } from "lmdb";

import { EngineError, type ErrorCode, messageOf } from "./errors.ts";

/** Binary values only: every table of this engine writes its own bytes. */
export type Table = Database<Uint8Array>;

export type Environment = ReturnType<typeof openEnvironment>;

export interface WriteFailure {
  /**
   * `full`: the disk or a limit is full; everything committed before is safe and readable, a restart may write again.
   * `broken`: the disk failed; nothing read from now on can be trusted, the process must end.
   */
  readonly kind: "full" | "broken";
  readonly message: string;
}

export interface Committer {
  /**
   * Runs `write` (only puts and removes, all encoded before: an exception inside would commit half of them) in one
   * transaction; resolves once it is fsync'd. A second call waits for the first.
   * @throws EngineError with the committer's code; nothing of the batch is stored then.
   */
  commit(write: () => void): Promise<void>;
  /** Why nothing is written any more; null while all is well. */
  failure(): WriteFailure | null;
  /** Resolves when no commit is running. */
  idle(): Promise<void>;
}

/** Tables of one environment; a small number keeps every transaction small. */
const TABLES_MAX = 8;
/** ENOSPC, EDQUOT, EFBIG, MDB_MAP_FULL: the write did not fit, the disk itself is sound. */
const FULL_CODES: ReadonlySet<unknown> = new Set([28, 122, 27, -30792]);
const EIO = 5;
/** One commit may need this much; with less a write cut short is no sign of a failing disk. */
const FREE_BYTES_MIN = 16 * 1024 * 1024;

/**
 * Opens or creates the environment at `path`, a folder or a file name with an extension. Files get mode 0600.
 *
 * Never opened with lmdb-js's `readOnly`, also by those who only read: all threads of a process share one native
 * environment, its first opener decides whether it can write, and threads start in any order (tried: a writer that
 * opens after a reader fails with EINVAL).
 */
export function openEnvironment(path: string): ReturnType<typeof open<Uint8Array>> {
  const options: RootDatabaseOptionsWithPath & { safeRestore: boolean; permissionsMode: number } = {
    path,
    encoding: "binary",
    maxDbs: TABLES_MAX,
    // On, lmdb-js makes a second promise a transaction that nobody can handle: its rejection would end the process.
    eventTurnBatching: false,
    // A VM snapshot or a volume that lost writes keeps the boot id: trust only what was flushed.
    safeRestore: true,
    // Not in lmdb's typings; read by its native open (src/env.cpp).
    permissionsMode: 0o600,
  };
  return open<Uint8Array>(options);
}

export function createCommitter(
  environment: Environment,
  { path, code }: { readonly path: string; readonly code: ErrorCode },
): Committer {
  let failure: WriteFailure | null = null;
  // One at a time: lmdb's `flushed` speaks of the newest transaction, and never settles if that one fails.
  let last: Promise<unknown> = Promise.resolve();

  async function run(write: () => void): Promise<void> {
    if (failure !== null) throw new EngineError(code, failure.message);
    try {
      await environment.batch(write);
      await environment.flushed;
    } catch (error) {
      const cause = await causeOf(error);
      failure = failureOf(cause, path);
      throw new EngineError(code, failure.message, { cause });
    }
  }

  return {
    commit: (write) => {
      const commit = last.then(() => run(write));
      last = commit.catch(() => undefined);
      return commit;
    },
    failure: () => failure,
    idle: async () => {
      await last;
    },
  };
}

/** lmdb-js keeps the errno in a second promise; left unhandled, its rejection would end the process. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error) || !("commitError" in error)) return error;
  try {
    await error.commitError;
    return error;
  } catch (cause) {
    return cause;
  }
}

function failureOf(cause: unknown, path: string): WriteFailure {
  const errno = cause instanceof Error && "code" in cause ? cause.code : undefined;
  // LMDB calls a write that was cut short EIO, and on a full disk the first one that fails often is.
  if (FULL_CODES.has(errno) || (errno === EIO && hasNoSpace(path))) {
    return {
      kind: "full",
      message: `no space to write (${messageOf(cause)}); nothing more is written until a restart with free space`,
    };
  }
  return {
    kind: "broken",
    message: `the disk failed (${messageOf(cause)}); what is read from now on may be wrong, the process must end`,
  };
}

function hasNoSpace(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path);
    return bavail * bsize < FREE_BYTES_MIN;
  } catch {
    return false;
  }
}
