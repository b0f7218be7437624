// Composition root of an actor thread: partitions with their ledgers, one connection pool to WhatsApp.
//
//   stream reader ─▶ partition (sender and campaign actors) ─▶ Cloud API client ─▶ verdict ─▶ ledger

import { parentPort, workerData } from "node:worker_threads";

import { Partition } from "./actor/partition.ts";
import type { PartitionCampaign } from "./actor/partition-deps.ts";
import type { FromThread, ThreadCampaign, ThreadStart, ToThread } from "./actor/protocol.ts";
import type { SenderSettings } from "./actor/sender-actor.ts";
import { compileCampaign } from "./campaign/compiled-campaign.ts";
import { countTransition } from "./ledger/counters.ts";
import { type Ledger, openLedger } from "./ledger/lmdb-ledger.ts";
import { mergeStatus } from "./ledger/status-merge.ts";
import { partitionOf } from "./message/partition.ts";
import type { SenderConfig } from "./runtime/config.ts";
import { EngineError, messageOf } from "./runtime/errors.ts";
import { createStdoutLog } from "./runtime/stdout-log.ts";
import { systemClock } from "./runtime/system-clock.ts";
import { openLmdbStreamReader } from "./stream/lmdb-stream-reader.ts";
import { createCloudApiClient } from "./whatsapp/cloud-api-client.ts";
import { verdictOf } from "./whatsapp/send-verdict.ts";

/** What one look into the stream brings at most. */
const STREAM_READ = { itemsMax: 16, bytesMax: 1_048_576 };
/** Sends in flight of one number: two seconds' worth of its rate, within these bounds. */
const IN_FLIGHT = { min: 16, max: 2_000, secondsOfRate: 2 };
/** At least as many as sends may be in flight: waiting for a connection counts against the answer's deadline. */
const CONNECTIONS_MAX = 2_000;
const RESPONSE_TIMES_REPORT_MS = 1_000;
const RESPONSE_TIMES_MAX = 10_000;

// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- given by actor-threads.ts
const start = workerData as ThreadStart;
const log = createStdoutLog({ level: start.logLevel, thread: `actor-${start.threadIndex}` });
const post = (message: FromThread): void => parentPort?.postMessage(message);

let senders = new Map(start.senders.map((sender) => [sender.id, sender]));
let responseTimes: number[] = [];
const known = new Map<number, ThreadCampaign>();

const client = createCloudApiClient({ ...start.whatsapp, connectionsMax: CONNECTIONS_MAX, clock: systemClock });
const stream = openLmdbStreamReader({ path: start.streamPath });
const ledgers = start.partitions.map((partition) =>
  openLedger({ path: start.ledgerPaths[partition] ?? "", readOnly: false }),
);
const partitions = new Map(ledgers.map((ledger, index) => openPartition(start.partitions[index] ?? 0, ledger)));

function openPartition(partition: number, ledger: Ledger): [number, Partition] {
  const worker = new Partition({
    partition,
    streamHead: start.streamHeads[partition] ?? 0,
    ledger,
    readStream: (afterSequence) => stream.read(partition, afterSequence, STREAM_READ),
    send: ({ senderId, body }, done) => {
      const sender = senders.get(senderId);
      if (sender === undefined) {
        done({ kind: "transient", errorCode: null, reason: `The configuration has no sender ${senderId} any more.` });
        return;
      }
      const sentMs = performance.now();
      client.send({ phoneNumberId: sender.phoneNumberId, accessToken: sender.accessToken, body }, (answer) => {
        if (responseTimes.length < RESPONSE_TIMES_MAX) responseTimes.push(performance.now() - sentMs);
        done(verdictOf(answer));
      });
    },
    mergeStatus,
    countTransition,
    senderSettings: (senderId) => {
      const sender = senders.get(senderId);
      return sender === undefined ? undefined : senderSettings(sender);
    },
    clock: systemClock,
    random: () => Math.random(),
    defer: (call) => void setImmediate(call),
    report: (progress) => post({ kind: "progress", progress }),
    reportBlock: (senderId, block) => {
      post({
        kind: "block",
        senderId,
        block: block === null ? null : { reason: block.reason, untilMs: block.untilMs },
      });
    },
    onAwaited: (campaignNumber) => onAwaited(partition, campaignNumber),
    onBroken,
    log,
  });
  return [partition, worker];
}

function senderSettings(sender: SenderConfig): SenderSettings {
  const wanted = Math.ceil(sender.messagesPerSecond * IN_FLIGHT.secondsOfRate);
  return {
    senderId: sender.id,
    messagesPerSecond: sender.messagesPerSecond,
    pair: { periodMs: sender.pairLimit.periodSeconds * 1_000, burst: sender.pairLimit.burst },
    inFlightMax: Math.min(IN_FLIGHT.max, Math.max(IN_FLIGHT.min, wanted)),
  };
}

/** A ledger that cannot be written must not be written again: a failed fsync lies the second time. */
function onBroken(error: unknown): void {
  const code = error instanceof EngineError ? error.code : "ERR_LEDGER_WRITE";
  post({ kind: "broken", code, message: messageOf(error) });
}

function setCampaigns(campaigns: readonly ThreadCampaign[]): void {
  for (const campaign of campaigns) {
    known.set(campaign.number, campaign);
    const here = campaign.kind === "removed" ? removedCampaign(campaign) : definedCampaign(campaign);
    const own = campaign.kind === "defined" ? partitionOf(campaign.definition.sender) : null;
    for (const [partition, worker] of partitions) {
      if (own === null || own === partition) worker.setCampaign(here);
      else if (campaign.kind === "defined" && worker.hasHistoryOf(campaign.number)) tellMoved(worker, campaign);
    }
  }
}

/** Its sender is another's now: what still waits in this partition ends, statuses of what was sent still count. */
function tellMoved(worker: Partition, { number, definition }: Extract<ThreadCampaign, { kind: "defined" }>): void {
  worker.setCampaign(removedCampaign({ number, id: definition.id }));
}

/** News of a campaign may be behind its events, and then comes by itself; a campaign that moved never does. */
function onAwaited(partition: number, campaignNumber: number): void {
  log.warn("event.awaits_campaign", { partition, campaignNumber });
  setImmediate(() => {
    const campaign = known.get(campaignNumber);
    const worker = partitions.get(partition);
    if (campaign?.kind === "defined" && worker !== undefined && partitionOf(campaign.definition.sender) !== partition) {
      tellMoved(worker, campaign);
    }
  });
}

function definedCampaign(campaign: Extract<ThreadCampaign, { kind: "defined" }>): PartitionCampaign {
  const { definition, number } = campaign;
  const compiled = compileCampaign(definition, campaign.template ?? undefined);
  return {
    id: definition.id,
    senderId: definition.sender,
    templateName: definition.template.name,
    templateLanguage: definition.template.language,
    isRemoved: false,
    settings: {
      campaignNumber: number,
      lane: definition.lane,
      weight: 1,
      messagesPerSecond: definition.messagesPerSecond ?? null,
      // A campaign that cannot work rests: what it accepted before waits until it can, or its time to live ends.
      isPaused: definition.status === "paused" || compiled.kind === "refused",
      timeToLiveMs: definition.timeToLiveSeconds * 1_000,
      uncertain: { waitMs: definition.uncertain.waitSeconds * 1_000, then: definition.uncertain.then },
    },
    render: (input) =>
      compiled.kind === "compiled"
        ? compiled.campaign.render(input)
        : { kind: "unrenderable", reason: "The campaign's template is not usable." },
  };
}

function removedCampaign(campaign: { readonly number: number; readonly id: string }): PartitionCampaign {
  return {
    id: campaign.id,
    senderId: "",
    templateName: "",
    templateLanguage: "",
    isRemoved: true,
    settings: {
      campaignNumber: campaign.number,
      lane: "transactional",
      weight: 1,
      messagesPerSecond: null,
      isPaused: true,
      timeToLiveMs: 0,
      uncertain: { waitMs: 0, then: "fail" },
    },
    render: () => ({ kind: "unrenderable", reason: "The campaign was deleted." }),
  };
}

async function stop(): Promise<void> {
  await Promise.all([...partitions.values()].map((partition) => partition.stop()));
  await client.close();
  await stream.close();
  await Promise.all(ledgers.map((ledger) => ledger.close()));
  parentPort?.close();
}

parentPort?.on("message", (message: ToThread) => {
  switch (message.kind) {
    case "appended":
      for (const partition of message.partitions) partitions.get(partition)?.appended();
      return;
    case "campaigns":
      setCampaigns(message.campaigns);
      return;
    case "senders":
      senders = new Map(message.senders.map((sender) => [sender.id, sender]));
      for (const partition of partitions.values()) partition.refreshSenders();
      return;
    case "replay": {
      const count = partitions.get(message.partition)?.replay(message.ids, message.maxPerSecond) ?? 0;
      post({ kind: "replayed", call: message.call, count });
      return;
    }
    case "stop":
      clearInterval(reporting);
      stop().catch(onBroken);
  }
});

const reporting = setInterval(() => {
  if (responseTimes.length === 0) return;
  post({ kind: "responseTimes", milliseconds: responseTimes });
  responseTimes = [];
}, RESPONSE_TIMES_REPORT_MS);

setCampaigns(start.campaigns);
for (const partition of partitions.values()) partition.start();
post({ kind: "ready" });
