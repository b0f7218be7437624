// Three nodes, and by chance: take-ups, commits, restarts, lost tails, a deleted stream. Whatever happened, in the end
// all show the same, and no committed row is missing that was not handed over.

import assert from "node:assert/strict";
import { test } from "node:test";

import type { MessageId } from "../../engine/message/ids.ts";
import type { MessageRecord } from "../../engine/message/message-record.ts";
import { EngineError } from "../../engine/runtime/errors.ts";
import { chance } from "../support/chance.ts";
import { withoutNats } from "../support/nats-server.ts";
import { assertSame, createLedgerStream, eventsOf, type LedgerNode, nodesOf, STREAM } from "./ledger-node.ts";
import { startLossyServer } from "./lossy-server.ts";
import { contentsOf, RoundAuthor } from "./table-world.ts";

const SEEDS = (process.env["VOLLEY_LEDGER_SEEDS"] ?? "1,2").split(",").map(Number);
const STEPS = Number(process.env["VOLLEY_LEDGER_STEPS"] ?? 25);
/** Deletes the stream as well. Not by default: nats-server 2.9.10 once stopped answering for good after such a run. */
const DELETES = process.env["VOLLEY_LEDGER_DELETES"] === "1";

class ChaosWorld {
  readonly #below: (below: number) => number;
  readonly #author: RoundAuthor;
  readonly #promised = new Map<MessageId, number>();
  readonly #handed = new Set<MessageId>();
  readonly #owning = new Set<LedgerNode>();
  readonly #trace: string[] = [];
  nodes: LedgerNode[] = [];

  constructor(seed: number) {
    this.#below = chance(seed);
    this.#author = new RoundAuthor(seed);
  }

  readonly onFork = (records: readonly MessageRecord[]): void => {
    for (const { messageId } of records) this.#handed.add(messageId);
  };

  get trace(): string {
    return this.#trace.join(" ");
  }

  pick(): LedgerNode {
    const node = this.nodes[this.#below(this.nodes.length)];
    assert.ok(node !== undefined);
    return node;
  }

  async step(server: { save(): Promise<void>; lose(): Promise<void> }): Promise<void> {
    const node = this.pick();
    const drawn = this.#below(20);
    if (drawn < 3) await this.#takeUp(node);
    else if (drawn < 14) await this.#commit(this.#owning.has(node) ? node : ([...this.#owning][0] ?? node));
    else if (drawn < 15) await this.#restart(node);
    else if (drawn < 17) await this.#saveOrLose(server.save, "save");
    else if (drawn < 19 || !DELETES) await this.#saveOrLose(server.lose, "lose");
    else await this.#deleteStream(node);
  }

  async end(): Promise<void> {
    for (const node of this.nodes) if (this.#owning.has(node)) await this.#giveUp(node);
    for (const node of this.nodes) {
      assert.ok(!eventsOf(node).includes("ledger.gap"), "nothing aged out");
    }
    const owner = this.pick();
    await owner.log.takeUp();
    await owner.log.commit(this.#author.batch(owner.ledger));
    await assertSame(owner, ...this.nodes);
    const { rows } = contentsOf(owner.ledger);
    const attempts = new Map((rows as MessageRecord[]).map((row) => [row.messageId, row.attempts]));
    for (const [messageId, promised] of this.#promised) {
      const isThere = (attempts.get(messageId) ?? -1) >= promised;
      assert.ok(isThere || this.#handed.has(messageId), `${messageId}: ${attempts.get(messageId)} of ${promised}`);
    }
  }

  async #takeUp(node: LedgerNode): Promise<void> {
    if (this.#owning.has(node)) return;
    this.#note("take-up", node);
    await node.log.takeUp();
    this.#owning.add(node);
  }

  async #commit(node: LedgerNode): Promise<void> {
    if (!this.#owning.has(node)) return;
    this.#note("commit", node);
    const batch = this.#author.batch(node.ledger);
    try {
      await node.log.commit(batch);
    } catch (error) {
      assert.ok(error instanceof EngineError && error.code === "ERR_PARTITION_FENCED", String(error));
      return await this.#giveUp(node);
    }
    for (const { messageId } of batch.created) this.#promised.set(messageId, 0);
    for (const { record } of batch.updated) this.#promised.set(record.messageId, record.attempts);
  }

  async #giveUp(node: LedgerNode): Promise<void> {
    this.#note("give-up", node);
    this.#owning.delete(node);
    node.log.release();
    await node.log.follow();
  }

  async #restart(node: LedgerNode): Promise<void> {
    this.#note("restart", node);
    this.#owning.delete(node);
    const again = await node.restarted({ onFork: this.onFork });
    this.nodes = this.nodes.map((one) => (one === node ? again : one));
    await again.log.reconcile();
    await again.log.follow();
  }

  async #saveOrLose(call: () => Promise<void>, name: string): Promise<void> {
    this.#trace.push(name);
    await call();
  }

  async #deleteStream(node: LedgerNode): Promise<void> {
    this.#note("delete", node);
    await node.link.manager.streams.delete(STREAM).catch(() => undefined);
  }

  #note(what: string, node: LedgerNode): void {
    this.#trace.push(`${what}:${node.name}@${node.ledger.position().index}`);
  }
}

for (const seed of SEEDS) {
  test(`by chance, seed ${seed}`, { skip: withoutNats, timeout: 120_000 }, async (t) => {
    const lossy = await startLossyServer(t);
    const open = nodesOf(t, lossy.server);
    const world = new ChaosWorld(seed);
    world.nodes = await Promise.all(["a", "b", "c"].map((name) => open(name, { onFork: world.onFork })));
    await createLedgerStream(world.pick().link);
    await lossy.save();
    for (const node of world.nodes) await node.log.follow();
    try {
      for (let step = 0; step < STEPS; step++) await world.step(lossy);
      await world.end();
    } catch (error) {
      t.diagnostic(world.trace);
      for (const node of world.nodes) t.diagnostic(`${node.name} ${JSON.stringify(node.lines.slice(-12))}`);
      throw error;
    }
  });
}
