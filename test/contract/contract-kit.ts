// What the contract's tests share: raw calls, keys, and an engine whose Meta is the test's own.

import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";

import { startEngine } from "../../engine/main.ts";
import type { RunningEngine } from "../support/running-engine.ts";
import { parseCsv } from "../support/csv.ts";
import { createWorkspace, type Workspace, type WorkspaceOptions } from "../support/workspace.ts";
import { startMeta, type Meta } from "./meta-server.ts";

export interface Answer<Body = ProblemBody> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

export interface Fault {
  readonly pointer: string;
  readonly attribute: string;
  readonly code: string;
  readonly message: string;
}

export interface ProblemBody {
  readonly status: number | string;
  readonly code: string;
  readonly title: string;
  readonly detail: string;
  readonly errors: readonly Fault[];
}

export interface Accepted {
  readonly status: string;
  readonly messageId: string;
  readonly duplicate: boolean;
}

export interface Batch {
  readonly status: string;
  readonly accepted: number;
  readonly rejected: number;
  readonly results: readonly {
    readonly index: number;
    readonly messageId?: string;
    readonly duplicate?: boolean;
    readonly error?: { readonly code: string; readonly errors: readonly Fault[] };
  }[];
}

export interface List<Item> {
  readonly items: readonly Item[];
  readonly cursor: string | null;
}

type Headers_ = Readonly<Record<string, string>>;

/** One call; the body as parsed JSON, or null when there is none. */
export async function call<Body = ProblemBody>(
  url: string,
  init: {
    readonly method?: string;
    readonly headers?: Headers_;
    readonly body?: string | Uint8Array<ArrayBuffer> | null;
  } = {},
): Promise<Answer<Body>> {
  const answer = await fetch(url, init);
  const text = await answer.text();
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a test says what it expects
  const body = (text === "" ? null : JSON.parse(text)) as Body;
  return { status: answer.status, headers: answer.headers, body };
}

export function assertProblem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(answer.body.code, code);
  assert.equal(answer.body.status, status);
  assert.ok(answer.body.title.length > 0 && answer.body.detail.length > 0);
}

export interface Client {
  trigger<Body = Accepted>(campaignId: string, body: unknown, more?: TriggerOptions): Promise<Answer<Body>>;
  get<Body = ProblemBody>(path: string): Promise<Answer<Body>>;
  send<Body = ProblemBody>(method: string, path: string, body?: unknown): Promise<Answer<Body>>;
}

export interface TriggerOptions {
  readonly headers?: Headers_;
  readonly query?: string;
}

/** Calls with one key; strings and bytes go out as they are, all else as JSON. */
export function clientOf(url: string, key: string | null): Client {
  const authorisation: Headers_ = key === null ? {} : { "x-api-key": key };
  const send = async <Body>(
    method: string,
    path: string,
    body?: unknown,
    headers: Headers_ = {},
  ): Promise<Answer<Body>> =>
    call<Body>(`${url}${path}`, {
      method,
      headers: { ...authorisation, ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
      body: bodyOf(body),
    });
  return {
    trigger: async (campaignId, body, { headers = {}, query = "" } = {}) =>
      send("POST", `/api/campaigns/${campaignId}/trigger${query}`, body, headers),
    get: async (path) => send("GET", path),
    send: async (method, path, body) => send(method, path, body),
  };
}

function bodyOf(body: unknown): string | Uint8Array<ArrayBuffer> | null {
  if (body === undefined) return null;
  return typeof body === "string" || body instanceof Uint8Array ? toSendable(body) : JSON.stringify(body);
}

function toSendable(body: string | Uint8Array): string | Uint8Array<ArrayBuffer> {
  return typeof body === "string" ? body : new Uint8Array(body);
}

export async function createKey(
  admin: Client,
  scope: "trigger" | "read" | "admin",
  campaigns?: readonly string[],
): Promise<{ id: string; key: string }> {
  const answer = await admin.send<{ id: string; key: string }>("POST", "/api/keys", { name: "test", scope, campaigns });
  assert.equal(answer.status, 201);
  return answer.body;
}

/** A body without a content-length, in pieces. */
export async function postChunked(url: string, headers: Headers_, pieces: readonly Uint8Array[]): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest(url, { method: "POST", headers }, (incoming) => {
      let text = "";
      incoming.setEncoding("utf8");
      incoming.on("data", (piece: string) => (text += piece));
      incoming.on("end", () => {
        const known = Object.entries(incoming.headers).map(([name, value]): [string, string] => [name, String(value)]);
        // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- a test says what it expects
        resolve({
          status: incoming.statusCode ?? 0,
          headers: new Headers(known),
          body: JSON.parse(text) as ProblemBody,
        });
      });
    });
    outgoing.on("error", reject);
    for (const piece of pieces) outgoing.write(piece);
    outgoing.end();
  });
}

export interface EngineOnMeta {
  readonly meta: Meta;
  readonly workspace: Workspace;
  readonly url: string;
  readonly admin: Client;
  csv(campaignId: string, query?: string): Promise<Record<string, string>[]>;
  stop(): Promise<void>;
}

/** An engine whose WhatsApp is the test's own server: it answers when and what the test says. */
export async function runEngineOnMeta(options: Omit<WorkspaceOptions, "whatsappUrl">): Promise<EngineOnMeta> {
  const meta = await startMeta(options.templates);
  const workspace = await createWorkspace({ ...options, whatsappUrl: meta.url });
  const { configFile, url } = workspace;
  const engine = await startEngine({ configFile, environment: {}, simulator: "never", logLevel: "silent" });
  meta.webhookUrl = `${url}/webhooks/whatsapp`;
  return {
    meta,
    workspace,
    url,
    admin: clientOf(url, engine.adminKey),
    csv: async (campaignId, query = "") => csvOf(url, engine.adminKey, campaignId, query),
    stop: async () => {
      meta.release();
      await engine.stop();
      await meta.close();
      workspace.remove();
    },
  };
}

export async function csvText(url: string, key: string, campaignId: string, query = ""): Promise<string> {
  const answer = await fetch(`${url}/api/campaigns/${campaignId}/messages.csv${query}`, {
    headers: { "x-api-key": key },
  });
  assert.equal(answer.status, 200);
  return answer.text();
}

async function csvOf(url: string, key: string, campaignId: string, query: string): Promise<Record<string, string>[]> {
  return parseCsv(await csvText(url, key, campaignId, query));
}

export function adminOf(engine: RunningEngine): Client {
  return clientOf(engine.url, engine.key);
}
