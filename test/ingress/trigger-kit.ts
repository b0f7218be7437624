// Both doors on a real server with a real key store, in front of a stream that commits when the test lets it.

import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { createAdmission } from "../../engine/ingress/admission.ts";
import { authorise } from "../../engine/ingress/authentication.ts";
import type { Cancel } from "../../engine/message/cancel.ts";
import { createGroupCommit, type Claim, type CommitBatch } from "../../engine/ingress/group-commit.ts";
import { openKeyStore, type KeyStore } from "../../engine/ingress/lmdb-key-store.ts";
import type { TriggerCampaign } from "../../engine/ingress/trigger-campaign.ts";
import { createTriggerRoutes } from "../../engine/ingress/trigger.ts";
import { decodeEnvelope } from "../../engine/message/envelope.ts";
import type { AcceptedEvent } from "../../engine/message/event.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { deferred, memoryLog, parseObject, startServer, type JsonObject, type TestServer } from "./server-kit.ts";

/** Takes what has a phone of digits; `paid: false` is filtered. */
export function campaignOf(id: string, number: number, more: Partial<TriggerCampaign> = {}): TriggerCampaign {
  return {
    id,
    number,
    partition: number % 8,
    isActive: true,
    auth: { type: "apiKey" },
    urlToken: null,
    matches: (payload) => own(payload, "paid") !== false,
    dedupeValue: (payload) => {
      const value = own(payload, "id");
      return value === undefined ? undefined : JSON.stringify(value);
    },
    extract: (payload) => {
      const phone = own(payload, "phone");
      if (typeof phone === "string" && /^\+\d{8,15}$/.test(phone)) {
        return { kind: "valid", phoneNumber: phone, attributes: { name: nameOf(payload) } };
      }
      const code = phone === undefined ? "required" : "invalid_phone_number";
      const fault = { pointer: "/phone", attribute: "phoneNumber", code, message: "A phone number is needed." };
      return { kind: "invalid", faults: [fault, { ...fault, pointer: "/name", attribute: "name" }] };
    },
    timing: null,
    preview: ({ phoneNumber, attributes }) =>
      attributes["name"] === "unrenderable"
        ? { kind: "unrenderable", reason: "The name is empty." }
        : { kind: "rendered", message: `Hello ${attributes["name"]}`, request: `{"to":"${phoneNumber}"}`, changes: [] },
    ...more,
  };
}

function own(payload: unknown, name: string): unknown {
  if (typeof payload !== "object" || payload === null) return undefined;
  return Object.hasOwn(payload, name) ? Reflect.get(payload, name) : undefined;
}

function nameOf(payload: unknown): string {
  const name = own(payload, "name");
  return typeof name === "string" ? name : "there";
}

export interface TriggerStage {
  readonly server: TestServer;
  readonly keys: KeyStore;
  readonly key: string;
  readonly campaigns: Map<string, TriggerCampaign>;
  readonly accepted: [string, boolean][];
  readonly refused: [string | null, string][];
  readonly log: ReturnType<typeof memoryLog>;
  readonly state: { waiting: number; waitingMax: number; perSecond: number; failure: Error | null };
  /** All that was committed. */
  events(): AcceptedEvent[];
  /** Of each commit: the events with their cancels, and the partitions of these. */
  commits(): { readonly events: AcceptedEvent[]; readonly cancels: (Cancel & { readonly partition: number })[] }[];
  /** Commits wait from now on, until the returned function is called. */
  hold(): () => void;
  /** Calls in flight at the doors and not in a commit: for waiting until requests have arrived. */
  arrived(count: number): Promise<void>;
  close(): Promise<void>;
}

export interface StageOptions {
  readonly append?: (batch: CommitBatch) => Promise<unknown>;
  readonly findClaim?: (key: string) => Claim | undefined;
}

export async function startTriggers(options: StageOptions = {}): Promise<TriggerStage> {
  const folder = mkdtempSync(join(tmpdir(), "volley-trigger-"));
  const keys = openKeyStore({ path: join(folder, "keys"), clock: systemClock, randomBytes });
  const { key } = await keys.create({ name: "test", scope: "trigger" });
  const campaigns = new Map<string, TriggerCampaign>([["orders", campaignOf("orders", 1)]]);
  const claims = new Map<string, Claim>();
  const batches: CommitBatch[] = [];
  const accepted: [string, boolean][] = [];
  const refused: [string | null, string][] = [];
  const log = memoryLog();
  const state = { waiting: 0, waitingMax: 1_000_000, perSecond: 100_000, failure: null as Error | null };
  let gate = Promise.resolve();
  let sequence = 0;
  const append = async (batch: CommitBatch): Promise<void> => {
    await gate;
    if (state.failure !== null) throw state.failure;
    await options.append?.(batch);
    batches.push(batch);
    for (const claim of batch.envelopes.flatMap((envelope) => envelope.claims)) claims.set(claim.key, claim);
  };
  const admit = createAdmission({ perSecond: () => state.perSecond });
  const routes = createTriggerRoutes({
    campaign: (id) => campaigns.get(id),
    authorise: (request, need) => authorise((text) => keys.find(text), request, need),
    admit,
    nextMessageId: ({ partition, number }) =>
      encodeMessageId({ partition, campaignNumber: number, acceptedAtMs: Date.now(), node: 0, sequence: ++sequence }),
    findClaim: options.findClaim ?? ((claimKey) => claims.get(claimKey)),
    commit: createGroupCommit({ append, defer: setImmediate, onFault: (error) => log.error("fault", { error }) }),
    backlog: () => ({ waiting: state.waiting, max: state.waitingMax }),
    onAccepted: ({ id }, isDuplicate) => void accepted.push([id, isDuplicate]),
    onRefused: (id, code) => void refused.push([id, code]),
    clock: systemClock,
    random: () => 0.5,
    log,
  });
  const server = await startServer(routes);
  return {
    server,
    keys,
    key,
    campaigns,
    accepted,
    refused,
    log,
    state,
    events: () => batches.flatMap(({ envelopes }) => envelopes.flatMap(({ bytes }) => eventsOf(bytes))),
    commits: () =>
      batches.map(({ envelopes }) => ({
        events: envelopes.flatMap(({ bytes }) => eventsOf(bytes)),
        cancels: envelopes.flatMap(({ partition, bytes }) =>
          cancelsOf(bytes).map((cancel) => ({ ...cancel, partition })),
        ),
      })),
    hold() {
      const opening = deferred();
      gate = opening.promise;
      return () => opening.resolve();
    },
    async arrived(count) {
      while (server.inFlight() < count) await new Promise((resolve) => setImmediate(resolve));
    },
    async close() {
      server.close();
      await keys.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function eventsOf(bytes: Uint8Array): readonly AcceptedEvent[] {
  const envelope = decodeEnvelope(bytes);
  return envelope.kind === "events" ? envelope.events : [];
}

function cancelsOf(bytes: Uint8Array): readonly Cancel[] {
  const envelope = decodeEnvelope(bytes);
  return envelope.kind === "cancels" ? envelope.cancels : [];
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  readonly json: JsonObject;
}

export interface Call {
  readonly path?: string;
  readonly headers?: Record<string, string>;
  /** Null: none at all. */
  readonly key?: string | null;
}

/** Posts a value as JSON, or text as it is. */
export async function trigger(stage: TriggerStage, body: unknown, call: Call = {}): Promise<Answer> {
  const key = call.key === undefined ? stage.key : call.key;
  const response = await fetch(stage.server.url + (call.path ?? "/api/campaigns/orders/trigger"), {
    method: "POST",
    headers: { "content-type": "application/json", ...(key === null ? {} : { "x-api-key": key }), ...call.headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parseObject(text) };
}

export const ANN = { phone: "+15550001111", name: "Ann" };
