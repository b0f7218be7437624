// `/simulator/…`: how a running simulator is steered and read from outside.

import type { TemplatedApp } from "uWebSockets.js";

import type { Change } from "./change.ts";
import { readInbound, type Inbound } from "./inbound.ts";
import type { ReceivedSends } from "./received-send.ts";
import { readChanges, readScenario } from "./scenario-reading.ts";
import type { Scenario } from "./scenario.ts";
import type { SimulatorStats } from "./simulator.ts";
import { JSON_TYPE, UwsExchange } from "./uws-exchange.ts";

export interface ControlTarget {
  scenario(): Scenario;
  setScenario(scenario: Scenario): void;
  state(): readonly Change[];
  /** @returns what was not there to be changed. */
  change(changes: readonly Change[]): readonly string[];
  /** @returns what is wrong with it, or null. */
  receive(inbound: Inbound): string | null;
  readonly received: ReceivedSends;
  stats(): SimulatorStats;
}

const BODY_BYTES_MAX = 256 * 1024;
const RECEIVED_PAGE_MAX = 10_000;

export function addControlRoutes(app: TemplatedApp, target: ControlTarget): void {
  app
    .get("/simulator/scenario", (response) => respond(new UwsExchange(response, ""), 200, target.scenario()))
    .put("/simulator/scenario", (response) => {
      const exchange = new UwsExchange(response, "");
      exchange.readBody(BODY_BYTES_MAX, (body) => putScenario(exchange, body, target));
    })
    .get("/simulator/state", (response) => respond(new UwsExchange(response, ""), 200, target.state()))
    .put("/simulator/state", (response) => {
      const exchange = new UwsExchange(response, "");
      exchange.readBody(BODY_BYTES_MAX, (body) => putState(exchange, body, target));
    })
    .post("/simulator/inbound", (response) => {
      const exchange = new UwsExchange(response, "");
      exchange.readBody(BODY_BYTES_MAX, (body) => postInbound(exchange, body, target));
    })
    .get("/simulator/received", (response, request) =>
      listReceived(new UwsExchange(response, ""), new URLSearchParams(request.getQuery()), target.received),
    )
    .get("/simulator/stats", (response) => respond(new UwsExchange(response, ""), 200, target.stats()));
}

function putScenario(exchange: UwsExchange, body: string, target: ControlTarget): void {
  const reading = readScenario(parseJson(body));
  if (reading.kind === "invalid") {
    respond(exchange, 400, { faults: reading.faults });
    return;
  }
  target.setScenario(reading.scenario);
  respond(exchange, 200, reading.scenario);
}

function putState(exchange: UwsExchange, body: string, target: ControlTarget): void {
  const reading = readChanges(parseJson(body));
  const faults = reading.kind === "invalid" ? reading.faults : target.change(reading.changes);
  if (faults.length > 0) respond(exchange, 400, { faults });
  else respond(exchange, 200, target.state());
}

function postInbound(exchange: UwsExchange, body: string, target: ControlTarget): void {
  const reading = readInbound(parseJson(body));
  const fault = reading.kind === "invalid" ? reading.fault : target.receive(reading.inbound);
  if (fault === null) respond(exchange, 202, {});
  else respond(exchange, 400, { faults: [fault] });
}

function listReceived(exchange: UwsExchange, query: URLSearchParams, received: ReceivedSends): void {
  const after = Number(query.get("after") ?? 0);
  const limit = Number(query.get("limit") ?? RECEIVED_PAGE_MAX);
  if (!Number.isSafeInteger(after) || !Number.isSafeInteger(limit) || after < 0 || limit < 1) {
    respond(exchange, 400, { faults: ["after and limit are whole numbers"] });
    return;
  }
  const items = received.after(after, Math.min(limit, RECEIVED_PAGE_MAX));
  respond(exchange, 200, { items, forgotten: received.forgotten });
}

function respond(exchange: UwsExchange, status: number, value: unknown): void {
  exchange.answer({ status, contentType: JSON_TYPE, body: JSON.stringify(value) });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
