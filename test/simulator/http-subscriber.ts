// A receiver of webhooks, as an engine would be one: keeps each POST as it came and answers as it is told.

/* oxlint-disable typescript/no-unsafe-type-assertion -- what is parsed here was written by the code under test. */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";

interface ReceivedPost {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

export interface ReceivedStatus {
  readonly id: string;
  readonly status: string;
  readonly timestamp: string;
  readonly recipient_id: string;
  readonly biz_opaque_callback_data?: string;
  readonly errors?: readonly { readonly code: number }[];
  readonly [field: string]: unknown;
}

export interface Subscriber {
  readonly url: string;
  readonly posts: readonly ReceivedPost[];
  /** Statuses of the POSTs that were answered with 200, in order of arrival. */
  statuses(): ReceivedStatus[];
  /** The other updates of those POSTs, in order of arrival. */
  news(): ReceivedChange[];
  close(): Promise<void>;
}

/** @param answer the HTTP status for the nth POST, counted from 1. */
export async function startSubscriber(answer: (post: number) => number = () => 200): Promise<Subscriber> {
  const posts: ReceivedPost[] = [];
  const accepted: ReceivedPost[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const post = { headers: request.headers, body: Buffer.concat(chunks).toString("latin1") };
      posts.push(post);
      response.statusCode = answer(posts.length);
      if (response.statusCode === 200) accepted.push(post);
      response.end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/webhooks/whatsapp`,
    posts,
    statuses: () => accepted.flatMap((post) => statusesIn(post.body)),
    news: () => accepted.flatMap((post) => changesIn(post.body)).filter(({ value }) => value["statuses"] === undefined),
    close: () => closeServer(server),
  };
}

export function statusesIn(notification: string): ReceivedStatus[] {
  return changesIn(notification).flatMap(({ value }) => (value["statuses"] ?? []) as ReceivedStatus[]);
}

export interface ReceivedChange {
  readonly field: string;
  readonly value: Readonly<Record<string, unknown>>;
}

export function changesIn(notification: string): ReceivedChange[] {
  const { entry } = JSON.parse(notification) as { entry: { changes: ReceivedChange[] }[] };
  return entry.flatMap(({ changes }) => changes);
}

function closeServer(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => server.close(() => resolve()));
}
