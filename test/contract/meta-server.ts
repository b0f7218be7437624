// A WhatsApp of the test's own: it answers a send when and how the test says, and posts whatever statuses it is told.

import { createHmac } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { until } from "../support/until.ts";
import { APP_SECRET, GREETING, OFFER, WABA_ID } from "../support/workspace.ts";

export interface MetaSend {
  readonly body: SendBody;
  /** `wamid.` and a number that counts the sends from 1. */
  readonly wamid: string;
}

export interface SendBody {
  readonly messaging_product: string;
  readonly recipient_type: string;
  readonly to: string;
  readonly type: string;
  readonly biz_opaque_callback_data: string;
  readonly template: {
    readonly name: string;
    readonly language: { readonly code: string };
    readonly components: readonly unknown[];
  };
}

/**
 * `accept` answers 200, `held` too, as Meta's pacing does; `cut` takes the message and cuts the connection; `garbled`
 * answers a page of HTML; `hold` waits for {@link Meta.release}.
 */
export type MetaReaction =
  | "accept"
  | "held"
  | "cut"
  | "garbled"
  | "hold"
  | { readonly code: number; readonly httpStatus: number };

export interface Status {
  readonly messageId: string;
  readonly status: string;
  readonly atSeconds?: number;
  readonly wamid?: string;
  readonly errors?: readonly unknown[];
  readonly pricing?: unknown;
}

export interface Meta {
  /** What its account has; a list that is asked for answers with it. */
  templates: readonly WhatsAppTemplate[];
  /** What the page of every number says. */
  number: object;
  /** Answers sends and reads that come with another one as an expired token. Null: any will do. */
  validToken: string | null;
  readonly url: string;
  webhookUrl: string;
  react: (send: MetaSend) => MetaReaction;
  readonly sends: readonly MetaSend[];
  /** Answers what was held. */
  release(): void;
  untilSends(count: number): Promise<void>;
  postStatuses(statuses: readonly Status[]): Promise<Response>;
  /** What is not about a message, of the account of all tests. */
  postNews(field: string, value: object): Promise<Response>;
  close(): Promise<void>;
}

export async function startMeta(templates: readonly WhatsAppTemplate[] = [GREETING, OFFER]): Promise<Meta> {
  const sends: MetaSend[] = [];
  let held: (() => void)[] = [];
  const server = createServer((request, response) => {
    void (async (): Promise<void> => {
      const text = await readAll(request);
      if (meta.validToken !== null && request.headers.authorization !== `Bearer ${meta.validToken}`) {
        return answerJson(response, 401, { error: { message: "(#190) expired", type: "OAuthException", code: 190 } });
      }
      if (request.method === "GET") {
        const isList = request.url?.includes("/message_templates") === true;
        return answerJson(response, 200, isList ? { data: meta.templates } : meta.number);
      }
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the engine sends is what the tests look at
      const send = { body: JSON.parse(text) as SendBody, wamid: `wamid.${sends.length + 1}` };
      sends.push(send);
      const reaction = meta.react(send);
      if (reaction === "cut") return void response.destroy();
      if (reaction === "hold") return void held.push(() => accept(response, send));
      if (reaction === "accept") return accept(response, send);
      if (reaction === "held") return accept(response, send, { message_status: "held_for_quality_assessment" });
      if (reaction === "garbled") {
        return void response.writeHead(502, { "content-type": "text/html" }).end("<html>Bad gateway</html>");
      }
      const { code, httpStatus } = reaction;
      const error = {
        message: `(#${code}) refused`,
        type: "OAuthException",
        code,
        error_data: { details: "Refused." },
      };
      answerJson(response, httpStatus, { error });
    })();
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = address !== null && typeof address !== "string" ? address.port : 0;
  const meta: Meta = {
    templates,
    number: { throughput: { level: "HIGH" }, whatsapp_business_manager_messaging_limit: "TIER_UNLIMITED" },
    validToken: null,
    url: `http://127.0.0.1:${port}`,
    webhookUrl: "",
    react: () => "accept",
    sends,
    release: () => {
      meta.react = () => "accept";
      for (const answer of held) answer();
      held = [];
    },
    untilSends: async (count) => until(`${count} sends`, () => sends.length >= count),
    postStatuses: async (statuses) => postSigned(meta.webhookUrl, notificationOf(statuses)),
    postNews: async (field, value) => {
      const entry = [{ id: WABA_ID, changes: [{ field, value }] }];
      return postSigned(meta.webhookUrl, JSON.stringify({ object: "whatsapp_business_account", entry }));
    },
    close: async () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return meta;
}

/** Meta's own form: non-ASCII escaped, so that only the raw bytes have the signature. */
export function notificationOf(statuses: readonly Status[]): string {
  const value = {
    messaging_product: "whatsapp",
    metadata: { display_phone_number: "15550783881", phone_number_id: "106540352242922" },
    statuses: statuses.map((status) => ({
      id: status.wamid ?? `wamid.${status.messageId}`,
      status: status.status,
      timestamp: String(status.atSeconds ?? Math.floor(Date.now() / 1000)),
      recipient_id: "14155552671",
      biz_opaque_callback_data: status.messageId,
      ...(status.errors === undefined ? {} : { errors: status.errors }),
      ...(status.pricing === undefined ? {} : { pricing: status.pricing }),
    })),
  };
  const entry = [{ id: "102290129340398", changes: [{ field: "messages", value }] }];
  return JSON.stringify({ object: "whatsapp_business_account", entry });
}

export function signatureOf(body: string | Uint8Array, secret: string = APP_SECRET): string {
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}

export async function postSigned(url: string, body: string): Promise<Response> {
  const headers = { "content-type": "application/json", "x-hub-signature-256": signatureOf(body) };
  return fetch(url, { method: "POST", headers, body });
}

function accept(response: ServerResponse, { body, wamid }: MetaSend, more: object = {}): void {
  answerJson(response, 200, {
    messaging_product: "whatsapp",
    contacts: [{ input: body.to, wa_id: body.to.slice(1) }],
    messages: [{ id: wamid, ...more }],
  });
}

function answerJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
}

async function readAll(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(Buffer.from(piece as Uint8Array));
  return Buffer.concat(pieces).toString("utf8");
}
