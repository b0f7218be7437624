// A client and a server that end with their test.

import assert from "node:assert/strict";
import type { TestContext } from "node:test";

import { createCloudApiClient } from "../../engine/whatsapp/cloud-api-client.ts";
import type { CloudApiClient, CloudApiClientOptions } from "../../engine/whatsapp/cloud-api-client.ts";
import type { SendAnswer } from "../../engine/whatsapp/send-answer.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { startRawServer } from "./raw-server.ts";
import type { OnConnection, RawServer } from "./raw-server.ts";

export function send(client: CloudApiClient, body = "{}", accessToken = "token"): Promise<SendAnswer> {
  return new Promise((resolve) => {
    let hasReturned = false;
    client.send({ phoneNumberId: "106540352242922", accessToken, body }, (answer) => {
      assert.ok(hasReturned, "done was called before send returned");
      resolve(answer);
    });
    hasReturned = true;
  });
}

export async function serve(context: TestContext, onConnection: OnConnection): Promise<RawServer> {
  const server = await startRawServer(onConnection);
  context.after(() => server.close());
  return server;
}

export function connect(
  context: TestContext,
  baseUrl: string,
  options: Partial<CloudApiClientOptions> = {},
): CloudApiClient {
  const client = createCloudApiClient({
    baseUrl,
    apiVersion: "v26.0",
    clock: systemClock,
    ...options,
  });
  context.after(() => client.close());
  return client;
}
