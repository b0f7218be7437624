// A simulator for one test, with what the tests do to it; everything ends with the test.

import type { TestContext } from "node:test";

import type { Simulator, SimulatorOptions } from "../../engine/simulator/simulator.ts";
import { startSimulator } from "../../engine/simulator/uws-simulator.ts";
import { greetingSend, NUMBER_ID, templates, TOKEN, WABA_ID } from "./fixtures.ts";
import { startSubscriber, type Subscriber } from "./http-subscriber.ts";

export const SECRET = "app-secret";

export async function simulate(context: TestContext, options: Partial<SimulatorOptions> = {}): Promise<Simulator> {
  const simulator = await startSimulator({
    templates,
    senders: [{ phoneNumberId: NUMBER_ID, wabaId: WABA_ID, messagesPerSecond: 80 }],
    accessTokens: [TOKEN],
    appSecret: SECRET,
    seed: 11,
    ...options,
  });
  context.after(() => simulator.close());
  return simulator;
}

export async function subscribe(context: TestContext, answer?: (post: number) => number): Promise<Subscriber> {
  const subscriber = await startSubscriber(answer);
  context.after(() => subscriber.close());
  return subscriber;
}

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

export function sendRequest(fields: object): RequestInit {
  return {
    method: "POST",
    headers: { authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify(greetingSend({ ...fields })),
  };
}

export async function send(
  simulator: Simulator,
  fields: object = {},
  path = `/v26.0/${NUMBER_ID}/messages`,
): Promise<Answer> {
  const response = await fetch(simulator.url + path, sendRequest(fields));
  return { status: response.status, body: await response.json() };
}

export async function get(simulator: Simulator, path: string): Promise<Answer> {
  const response = await fetch(simulator.url + path, { headers: { authorization: `Bearer ${TOKEN}` } });
  return { status: response.status, body: await response.json() };
}
