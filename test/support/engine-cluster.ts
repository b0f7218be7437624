// Several engines on one NATS: each a process with its own data directory, port and configuration file, the same
// campaigns and senders everywhere, one simulator before whose webhooks stands a load balancer.

import { startSimulatorThread, type SimulatorThread } from "../../engine/simulator/simulator-thread.ts";
import type { ScenarioInput } from "../../engine/simulator/scenario.ts";
import { PARTITIONS, partitionOf } from "../../engine/message/partition.ts";
import { parseCsv } from "./csv.ts";
import { EngineProcess, type LogLine } from "./engine-process.ts";
import { type CsvRow, differenceOf } from "./message-audit.ts";
import { until } from "./until.ts";
import { startWebhookForwarder, type WebhookForwarder } from "./webhook-forwarder.ts";
import {
  ACCESS_TOKEN,
  APP_SECRET,
  createWorkspace,
  GREETING,
  OFFER,
  WABA_ID,
  type Workspace,
  type WorkspaceOptions,
} from "./workspace.ts";

export interface ClusterOptions extends Omit<WorkspaceOptions, "whatsappUrl" | "stream" | "dataDir" | "senders"> {
  readonly nodes: number;
  readonly servers: readonly string[];
  readonly replicas: 1 | 3;
  readonly senders: Senders;
  readonly scenario?: ScenarioInput;
}

export type Senders = Readonly<Record<string, { readonly phoneNumberId: string; readonly messagesPerSecond: number }>>;

/** What became of a partition on one node. */
export interface SeatChange {
  readonly kind: "taken" | "released" | "lost";
  readonly partition: number;
  readonly node: number;
  /** Epoch milliseconds. */
  readonly atMs: number;
}

export interface EngineNode {
  readonly index: number;
  readonly url: string;
  readonly workspace: Workspace;
  readonly process: EngineProcess;
  /** Warnings and errors of its log, newest last. */
  readonly complaints: readonly LogLine[];
  isRunning: boolean;
}

interface Node extends EngineNode {
  readonly complaints: LogLine[];
  readonly held: Set<number>;
}

const SEAT_EVENTS: Readonly<Record<string, SeatChange["kind"]>> = {
  "partition.taken": "taken",
  "partition.released": "released",
  "partition.lost": "lost",
};
const COMPLAINTS_MAX = 10_000;
/** What the names of senders begin with; see {@link sendersInAllPartitions}. */
const PHONE_NUMBER_IDS = 200_000_000_000_000;

/** One sender in each partition, so that every partition of the cluster has work. */
export function sendersInAllPartitions(messagesPerSecond: number): Senders {
  const names = Array.from({ length: PARTITIONS }, (_, partition) => {
    for (let number = 0; ; number++) if (partitionOf(`s${number}`) === partition) return `s${number}`;
  });
  return Object.fromEntries(
    names.map((name, index) => [name, { phoneNumberId: String(PHONE_NUMBER_IDS + index), messagesPerSecond }]),
  );
}

export async function startEngineCluster(options: ClusterOptions): Promise<EngineCluster> {
  const simulator = await startSimulatorThread({
    templates: options.templates ?? [GREETING, OFFER],
    senders: Object.values(options.senders).map((sender) => ({ ...sender, wabaId: WABA_ID })),
    accessTokens: [ACCESS_TOKEN],
    appSecret: APP_SECRET,
    receivedMax: 1_000_000,
    ...(options.scenario === undefined ? {} : { scenario: options.scenario }),
  });
  const cluster = new EngineCluster(options, simulator);
  try {
    await cluster.start();
  } catch (error) {
    await cluster.end();
    throw error;
  }
  return cluster;
}

export class EngineCluster {
  readonly simulator: SimulatorThread;
  /** Every change of hands, in the order in which the test heard of it. */
  readonly changes: SeatChange[] = [];
  /** Engines that ended by themselves, with the end of what they said. */
  readonly deaths: string[] = [];
  readonly #options: ClusterOptions;
  readonly #nodes: Node[] = [];
  #forwarder: WebhookForwarder | null = null;

  constructor(options: ClusterOptions, simulator: SimulatorThread) {
    this.#options = options;
    this.simulator = simulator;
  }

  get nodes(): readonly EngineNode[] {
    return this.#nodes;
  }

  /** Of the nodes that run, frozen ones included: what a load balancer knows. */
  urls(): readonly string[] {
    return this.#nodes.map(({ url }) => url);
  }

  /** The first node's admin key, which all nodes know. */
  get key(): string {
    return this.#node(0).process.adminKey;
  }

  webhookStats(): { readonly forwarded: number; readonly failedOver: number; readonly refused: number } {
    return this.#forwarder?.stats() ?? { forwarded: 0, failedOver: 0, refused: 0 };
  }

  async start(): Promise<void> {
    this.#forwarder = await startWebhookForwarder(() =>
      this.#nodes.filter(({ isRunning }) => isRunning).map(({ url }) => url),
    );
    await this.simulator.setWebhookUrl(this.#forwarder.url);
    for (let index = 0; index < this.#options.nodes; index++) {
      // oxlint-disable-next-line no-await-in-loop -- so that no two get the same port
      await this.#create();
    }
    await Promise.all(this.#nodes.map(({ index }) => this.startNode(index)));
    await this.untilAllOwned();
    await this.#untilKeyKnown();
  }

  /** A node that never was before. @returns its index. */
  async addNode(): Promise<number> {
    const { index } = await this.#create();
    await this.startNode(index);
    return index;
  }

  async startNode(index: number, deadlineMs?: number): Promise<void> {
    const node = this.#node(index);
    await node.process.start(deadlineMs);
    node.isRunning = true;
  }

  /** @returns the partitions it held. */
  async killNode(index: number): Promise<readonly number[]> {
    return this.#endNode(index, "SIGKILL");
  }

  /** In good order. @returns the partitions it held when it was told. */
  async stopNode(index: number): Promise<readonly number[]> {
    return this.#endNode(index, "SIGTERM");
  }

  async #endNode(index: number, signal: "SIGKILL" | "SIGTERM"): Promise<readonly number[]> {
    const node = this.#node(index);
    const held = [...node.held];
    const how = await node.process.end(signal);
    node.isRunning = false;
    node.held.clear();
    const expected = signal === "SIGKILL" ? "SIGKILL" : 0;
    if (how !== expected) this.deaths.push(`node ${index} ended with ${how}:\n${node.process.output.slice(-4_000)}`);
    return held;
  }

  /** SIGSTOP. @returns the partitions it held. */
  pauseNode(index: number): readonly number[] {
    this.#node(index).process.pause();
    return [...this.#node(index).held];
  }

  resumeNode(index: number): void {
    this.#node(index).process.resume();
  }

  held(index: number): readonly number[] {
    return [...this.#node(index).held].toSorted((a, b) => a - b);
  }

  /** The node that took each partition last and still has it; null: none. */
  owners(): readonly (number | null)[] {
    return Array.from({ length: PARTITIONS }, (_, partition) => {
      const last = this.changes.findLast((change) => change.partition === partition && change.kind === "taken");
      return last !== undefined && this.#node(last.node).held.has(partition) ? last.node : null;
    });
  }

  /** Waits until each partition has an owner, not counting `without`. */
  async untilAllOwned(without?: number, deadlineMs = 60_000): Promise<void> {
    const isOwned = (): boolean => this.owners().every((owner) => owner !== null && owner !== without);
    await until(`every partition has an owner (now ${JSON.stringify(this.owners())})`, isOwned, deadlineMs);
  }

  /** Waits until every running node holds at least `least` partitions. */
  async untilSpread(least: number, deadlineMs = 60_000): Promise<void> {
    const running = this.#nodes.filter(({ isRunning }) => isRunning);
    const isSpread = (): boolean => running.every(({ held }) => held.size >= least);
    await until(`every node has ${least} partitions`, isSpread, deadlineMs);
  }

  /** How long after `sinceMs` each of the partitions was taken by another node than `from`. Null: not yet. */
  takeovers(partitions: readonly number[], from: number, sinceMs: number): readonly (number | null)[] {
    return partitions.map((partition) => {
      const taken = this.changes.find(
        ({ kind, partition: of, node, atMs }) =>
          kind === "taken" && of === partition && node !== from && atMs >= sinceMs,
      );
      return taken === undefined ? null : taken.atMs - sinceMs;
    });
  }

  /** Waits for all of them, at most `deadlineMs`. */
  async untilTakenOver(
    partitions: readonly number[],
    from: number,
    sinceMs: number,
    deadlineMs = 30_000,
  ): Promise<readonly number[]> {
    const isDone = (): boolean => this.takeovers(partitions, from, sinceMs).every((each) => each !== null);
    await until(`other nodes took partitions ${partitions.join(", ")} of node ${from} over`, isDone, deadlineMs);
    return this.takeovers(partitions, from, sinceMs).map((each) => each ?? Number.NaN);
  }

  async request(
    index: number,
    method: string,
    path: string,
    body?: unknown,
    key: string = this.key,
  ): Promise<Response> {
    return fetch(`${this.#node(index).url}${path}`, {
      method,
      headers: { "x-api-key": key, ...(body === undefined ? {} : { "content-type": "application/json" }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async getJson<Value>(index: number, path: string): Promise<Value> {
    const answer = await this.request(index, "GET", path);
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`node ${index} answered ${path} with ${answer.status}: ${text}`);
    return JSON.parse(text) as Value;
  }

  async csvText(index: number, campaignId: string): Promise<string> {
    const answer = await this.request(index, "GET", `/api/campaigns/${campaignId}/messages.csv`);
    const text = await answer.text();
    if (answer.status !== 200) throw new Error(`node ${index}: ${answer.status} ${text.slice(0, 500)}`);
    return text;
  }

  async rows(index: number, campaignIds: readonly string[]): Promise<readonly CsvRow[]> {
    const texts = await Promise.all(campaignIds.map((id) => this.csvText(index, id)));
    return texts.flatMap(parseCsv);
  }

  async timeline(index: number, messageId: string): Promise<readonly string[]> {
    const message = await this.getJson<{ timeline: { status: string }[] }>(index, `/api/messages/${messageId}`);
    return message.timeline.map(({ status }) => status);
  }

  /** On every running node; then until WhatsApp has told all it had to tell, and that has settled as well. */
  async untilNothingWaits(campaignIds: readonly string[], deadlineMs = 60_000): Promise<void> {
    const nothingWaits = async (): Promise<boolean> => {
      const running = this.#nodes.filter(({ isRunning }) => isRunning);
      for (const { index } of running) {
        const paths = campaignIds.map((id) => `/api/campaigns/${id}/stats`);
        // oxlint-disable-next-line no-await-in-loop -- stops at the first node where something waits
        const stats = await Promise.all(paths.map((path) => this.getJson<{ waiting: number }>(index, path)));
        if (stats.some(({ waiting }) => waiting > 0)) return false;
      }
      return true;
    };
    const endMs = performance.now() + deadlineMs;
    await until("nothing waits on any node", nothingWaits, deadlineMs);
    const idle = this.simulator.idle().then(() => true);
    const late = new Promise<false>((resolve) => setTimeout(resolve, endMs - performance.now(), false).unref());
    if (!(await Promise.race([idle, late]))) {
      const stats = JSON.stringify((await this.simulator.stats()).webhooks);
      throw new Error(`WhatsApp could not get rid of its webhooks: ${stats}`);
    }
    await this.untilSameCsvs(campaignIds, Math.max(10_000, endMs - performance.now()));
  }

  /** The tables of the followers are a moment behind. */
  async untilSameCsvs(campaignIds: readonly string[], deadlineMs: number): Promise<void> {
    let difference: string[] = [];
    const isSame = async (): Promise<boolean> => {
      difference = await this.#csvDifference(campaignIds);
      return difference.length === 0;
    };
    await until("all nodes tell the same CSV", isSame, deadlineMs).catch((error: unknown) => {
      const shown = difference.slice(0, 8).join("\n");
      throw new Error(`the nodes' CSVs differ in ${difference.length} lines:\n${shown}`, { cause: error });
    });
  }

  async #csvDifference(campaignIds: readonly string[]): Promise<string[]> {
    const running = this.#nodes.filter(({ isRunning }) => isRunning);
    for (const id of campaignIds) {
      // oxlint-disable-next-line no-await-in-loop -- one campaign in memory at a time
      const [first = "", ...others] = await Promise.all(running.map(({ index }) => this.csvText(index, id)));
      const differing = others.findIndex((other) => differenceOf(first, other).length > 0);
      if (differing >= 0)
        return [
          `node ${running[0]?.index} (-), ${running[differing + 1]?.index} (+)`,
          ...differenceOf(first, others[differing] ?? ""),
        ];
    }
    return [];
  }

  /** Ends everything at once. Safe twice. */
  async end(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.process.end("SIGKILL")));
    await this.#forwarder?.close();
    this.#forwarder = null;
    await this.simulator.close();
    for (const { workspace } of this.#nodes) workspace.remove();
  }

  async #create(): Promise<Node> {
    const { servers, replicas, nodes: _, scenario: __, ...options } = this.#options;
    const index = this.#nodes.length;
    const workspace = await createWorkspace({
      ...options,
      whatsappUrl: this.simulator.url,
      stream: { driver: "jetstream", servers, replicas },
    });
    const node: Node = {
      index,
      url: workspace.url,
      workspace,
      process: new EngineProcess(workspace, {
        onLine: (line) => this.#heard(node, line),
        onDeath: (how) => {
          this.deaths.push(`node ${index} ended by itself with ${how}:\n${node.process.output.slice(-4_000)}`);
          node.isRunning = false;
          node.held.clear();
        },
      }),
      complaints: [],
      held: new Set(),
      isRunning: false,
    };
    this.#nodes.push(node);
    return node;
  }

  #heard(node: Node, line: LogLine): void {
    if (line.level !== "info" && node.complaints.length < COMPLAINTS_MAX) node.complaints.push(line);
    const kind = SEAT_EVENTS[line.event];
    if (kind === undefined) return;
    const partition = Number(line.fields["partition"]);
    if (kind === "taken") node.held.add(partition);
    else node.held.delete(partition);
    this.changes.push({ kind, partition, node: node.index, atMs: line.atMs });
  }

  /** Each node knows the first node's key a moment after that node made it. */
  async #untilKeyKnown(): Promise<void> {
    const key = this.key;
    const isKnown = async (): Promise<boolean> => {
      const answers = await Promise.all(
        this.#nodes.map(({ index }) => this.request(index, "GET", "/api/keys", undefined, key)),
      );
      await Promise.all(answers.map((answer) => answer.arrayBuffer()));
      return answers.every(({ status }) => status === 200);
    };
    await until("every node knows the first node's key", isKnown);
  }

  #node(index: number): Node {
    const node = this.#nodes[index];
    if (node === undefined) throw new Error(`there is no node ${index}`);
    return node;
  }
}
