// Nodes of a cluster as far as the ledger of one partition goes: each with a table, a connection and a log.

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

import { type LedgerLog, type LedgerLogOptions, openLedgerLog } from "../../engine/ledger/jetstream-ledger-log.ts";
import { type Ledger, openLedger } from "../../engine/ledger/lmdb-ledger.ts";
import type { NatsLink } from "../../engine/runtime/jetstream-connection.ts";
import { ledgerStream, ledgerSubject } from "../../engine/runtime/jetstream-names.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { connectTo, keptLog, type LogLine } from "../runtime/jetstream-settings.ts";
import type { NatsServer } from "../support/nats-server.ts";
import { until } from "../support/until.ts";
import { contentsOf, PARTITION, type RoundAuthor, type RoundSize } from "./table-world.ts";

export interface LedgerNode {
  readonly name: string;
  readonly ledger: Ledger;
  readonly log: LedgerLog;
  readonly link: NatsLink;
  readonly lines: readonly LogLine[];
  /** The same table, opened again by a new log: the process was restarted. */
  restarted(options?: NodeOptions): Promise<LedgerNode>;
  close(): Promise<void>;
}

export type NodeOptions = Partial<
  Pick<LedgerLogOptions, "onProgress" | "onApplied" | "onFork" | "onBroken" | "ledger" | "clock">
>;

export const STREAM: string = ledgerStream("volley", PARTITION);

export async function createLedgerStream(
  { manager, prefix }: NatsLink,
  maxBytes = 2e9,
  duplicateWindowMs = 120_000,
): Promise<void> {
  await manager.streams.add({
    name: ledgerStream(prefix, PARTITION),
    subjects: [ledgerSubject(prefix, PARTITION)],
    discard: "new",
    max_bytes: maxBytes,
    duplicate_window: duplicateWindowMs * 1_000_000,
  });
}

/** A folder for the tables of one test, and what opens nodes in it. */
export function nodesOf(
  t: TestContext,
  server: NatsServer,
): (name: string, options?: NodeOptions) => Promise<LedgerNode> {
  const folder = mkdtempSync(join(tmpdir(), "volley-nodes-"));
  const opened: LedgerNode[] = [];
  t.after(async () => {
    for (const node of opened) await node.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const open = async (name: string, options: NodeOptions = {}): Promise<LedgerNode> => {
    const { log: kept, lines } = keptLog();
    const link = await connectTo({ server, log: kept });
    const ledger = options.ledger ?? openLedger({ path: join(folder, name), readOnly: false });
    const recreate = (): Promise<void> => createLedgerStream(link);
    const common = { link, partition: PARTITION, nodeName: name, recreate, log: kept, clock: systemClock };
    const log = openLedgerLog({ ...common, ...options, ledger });
    const node: LedgerNode = {
      name,
      ledger,
      log,
      link,
      lines,
      restarted: async (again = {}) => {
        await node.close();
        return open(name, again);
      },
      close: async () => {
        await log.close();
        await ledger.close();
        await link.close();
      },
    };
    opened.push(node);
    return node;
  };
  return open;
}

export async function commitRounds(
  owner: LedgerNode,
  author: RoundAuthor,
  rounds: number,
  size?: RoundSize,
): Promise<void> {
  for (let round = 0; round < rounds; round++) await owner.log.commit(author.batch(owner.ledger, size));
}

/** Waits until the other stands where `node` does, and compares all that both show. */
export async function assertSame(node: LedgerNode, ...others: readonly LedgerNode[]): Promise<void> {
  for (const other of others) {
    await until(
      `${other.name} stands where ${node.name} does`,
      () => other.ledger.position().index >= node.ledger.position().index,
      20_000,
    );
    assert.deepEqual(other.ledger.position(), node.ledger.position());
    assert.deepEqual(contentsOf(other.ledger), contentsOf(node.ledger), `${other.name} and ${node.name}`);
  }
}

export const eventsOf = (node: LedgerNode): string[] => node.lines.map(({ event }) => event);
