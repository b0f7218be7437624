// One address for WhatsApp's webhooks, several engines behind it: a load balancer that tries the next engine when one
// does not answer with 200, and asks WhatsApp to come again when none does.

import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";

export interface WebhookForwarder {
  readonly url: string;
  stats(): { readonly forwarded: number; readonly failedOver: number; readonly refused: number };
  close(): Promise<void>;
}

const PATH = "/webhooks/whatsapp";
/** An engine that takes longer has stopped, and the next one is asked. */
const ANSWER_MS_MAX = 4_000;
/** Then an engine that failed is asked first again. */
const AVOIDED_MS = 1_000;

/** @param engines Their addresses, asked anew for each call. */
export async function startWebhookForwarder(engines: () => readonly string[]): Promise<WebhookForwarder> {
  const avoidedUntilMs = new Map<string, number>();
  const counts = { forwarded: 0, failedOver: 0, refused: 0 };
  let turn = 0;

  const forward = async (body: Buffer, headers: Readonly<Record<string, string>>): Promise<number> => {
    const all = engines();
    const start = turn++;
    const inTurn = all.map((_, index) => all[(start + index) % all.length] ?? "");
    const nowMs = performance.now();
    const isAvoided = (url: string): boolean => (avoidedUntilMs.get(url) ?? 0) > nowMs;
    for (const url of [...inTurn.filter((each) => !isAvoided(each)), ...inTurn.filter(isAvoided)]) {
      // oxlint-disable-next-line no-await-in-loop -- the next one only when this one failed
      const status = await post(`${url}${PATH}`, body, headers);
      if (status === 200) {
        counts.forwarded++;
        return 200;
      }
      avoidedUntilMs.set(url, performance.now() + AVOIDED_MS);
      counts.failedOver++;
    }
    counts.refused++;
    return 503;
  };
  const server = createServer((request, response) => void answer(request, response, forward));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}${PATH}`,
    stats: () => ({ ...counts }),
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  forward: (body: Buffer, headers: Readonly<Record<string, string>>) => Promise<number>,
): Promise<void> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const signature = request.headers["x-hub-signature-256"];
    const headers = { "content-type": "application/json", "x-hub-signature-256": String(signature) };
    response.writeHead(await forward(Buffer.concat(chunks), headers)).end();
  } catch {
    response.destroy();
  }
}

/** @returns The status, or null when no answer came. */
async function post(url: string, body: Buffer, headers: Readonly<Record<string, string>>): Promise<number | null> {
  try {
    const signal = AbortSignal.timeout(ANSWER_MS_MAX);
    const response = await fetch(url, { method: "POST", headers, body, signal });
    await response.arrayBuffer();
    return response.status;
  } catch {
    return null;
  }
}
