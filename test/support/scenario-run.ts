// A real engine against one of the ready scenarios of config/scenarios/, with the templates of config/templates/.
//
// A scenario waits for people to look at it: minutes between "paused" and "approved again". Here the test looks. What
// comes with a message count comes so; what comes later by the clock comes when the test has seen what it wanted to
// (`later`), and statuses come quickly.

import assert from "node:assert/strict";
import { join } from "node:path";
import type { TestContext } from "node:test";

import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { loadTemplateFolder } from "../../engine/runtime/template-file.ts";
import type { Change } from "../../engine/simulator/change.ts";
import type { ReceivedSend } from "../../engine/simulator/received-send.ts";
import { loadScenarioFile } from "../../engine/simulator/scenario-file.ts";
import type { Scenario, ScenarioEvent } from "../../engine/simulator/scenario.ts";
import { type RunningEngine, runEngine } from "./running-engine.ts";
import { until } from "./until.ts";
import type { WorkspaceOptions } from "./workspace.ts";

export interface ScenarioRun extends RunningEngine {
  /** The next of the scenario's events that come later by the clock. */
  later(): Promise<void>;
  /** Posts so many events, each to another person unless `phone` says which. @returns the ids, in their order. */
  fill(campaignId: string, count: number, phone?: (index: number) => string): Promise<readonly string[]>;
  /** Posts one event with more fields in its payload. @returns its message id. */
  trigger(campaignId: string, phone: string, more?: Readonly<Record<string, unknown>>): Promise<string>;
  message(messageId: string): Promise<MessageJson>;
  stats(campaignId: string): Promise<StatsJson>;
  campaign(campaignId: string): Promise<CampaignJson>;
  sender(senderId?: string): Promise<SenderJson>;
  /** Waits until the sender shows such a block. */
  untilBlocked(errorCode: number, senderId?: string): Promise<SenderBlockJson>;
  /** Waits until nothing of the campaigns waits any more, and all that WhatsApp will say was said. */
  untilDone(campaignIds: readonly string[], deadlineMs?: number): Promise<void>;
}

export interface MessageJson {
  readonly messageId: string;
  readonly phoneNumber: string;
  readonly status: string;
  readonly errorCode: number | null;
  readonly errorReason: string;
  readonly attempts: number;
  readonly timeline: readonly { readonly status: string; readonly errorCode: number | null; readonly detail: string }[];
}

interface StatsJson {
  readonly status: string;
  readonly accepted: number;
  readonly waiting: number;
  readonly doubleSends: number;
  readonly byStatus: Readonly<Record<string, number>>;
  readonly byError: Readonly<Record<string, number>>;
}

interface CampaignJson {
  readonly status: string;
  readonly faults: readonly { readonly path: string; readonly message: string }[];
  readonly parked: {
    readonly since: string;
    readonly reasons: readonly string[];
    readonly takesEvents: boolean;
  } | null;
}

interface SenderBlockJson {
  readonly scope: string;
  readonly subject: string;
  readonly errorCode: number;
  readonly reason: string;
  readonly since: string;
  readonly until: string;
}

interface SenderJson {
  readonly id: string;
  readonly messagesPerSecond: number;
  readonly rate: { readonly configured: number | "auto"; readonly granted: number | null; readonly now: number };
  readonly recipients: { readonly used: number; readonly limit: number | null; readonly allowance: number | null };
  readonly blocks: readonly SenderBlockJson[];
}

export interface ScenarioRunOptions extends Partial<
  Pick<WorkspaceOptions, "campaigns" | "senders" | "messagesPerSecond" | "change" | "dataDir">
> {
  /** Of the scenario's counts of sends: 0.2 makes 50 messages 10. Default 1. */
  readonly sends?: number;
  /** A last change of the scenario. */
  adapt?(scenario: Scenario): Scenario;
  environment?(folder: string): Readonly<Record<string, string>>;
}

const SCENARIOS = "config/scenarios";
const TEMPLATES = "config/templates";
const ARRAY_LENGTH = 1_000;
const MESSAGE_ID_LENGTH = 26;
const QUICK: Partial<Scenario["statuses"]> = {
  sentAfter: { minMs: 20, maxMs: 60 },
  deliveredAfter: { minMs: 20, maxMs: 100 },
  readAfter: { minMs: 20, maxMs: 200 },
};
/** What the presets let fail, whatever the scenario is about. */
const CHANCE_CODES: ReadonlySet<string> = new Set(["130472", "131026", "131049"]);
const GOOD: ReadonlySet<string> = new Set(["sent", "delivered", "read"]);

/** @param file such as `template-paused`; null: nothing fails. Ends with the test. */
export async function runScenario(
  context: TestContext,
  file: string | null,
  options: ScenarioRunOptions = {},
): Promise<ScenarioRun> {
  const { sends = 1, adapt, campaigns = [orders(), carts()], ...rest } = options;
  const { scenario, later } =
    file === null ? { scenario: { preset: "perfect" } as const, later: [] } : hurried(file, sends);
  const engine = await runEngine({
    messagesPerSecond: 80,
    ...rest,
    templates: readyTemplates(),
    campaigns,
    scenario: adapt === undefined || "preset" in scenario ? scenario : adapt(scenario),
  });
  context.after(() => engine.stop());
  return scenarioRun(engine, later);
}

export function readyTemplates(): readonly WhatsAppTemplate[] {
  const { templates, faults } = loadTemplateFolder(TEMPLATES);
  assert.deepEqual(faults, []);
  return templates;
}

/** What a user would start the simulator with, in a hurry. */
function hurried(file: string, sends: number): { scenario: Scenario; later: (readonly Change[])[] } {
  const scenario = loadScenarioFile(join(SCENARIOS, `${file}.yaml`));
  const isLater = ({ when }: ScenarioEvent): boolean =>
    "atSeconds" in when ? when.atSeconds > 0 : (when.plusSeconds ?? 0) > 0;
  const events = scenario.events.filter((event) => !isLater(event)).map((event) => sooner(event, sends));
  const later = scenario.events.filter(isLater).map((event) => changesOf(event));
  return { scenario: { ...scenario, events, statuses: { ...scenario.statuses, ...QUICK } }, later };
}

function sooner(event: ScenarioEvent, sends: number): ScenarioEvent {
  const { when } = event;
  if (!("afterSends" in when)) return event;
  return { ...event, when: { ...when, afterSends: Math.max(1, Math.round(when.afterSends * sends)) } };
}

function changesOf({ do: changes }: ScenarioEvent): readonly Change[] {
  return Array.isArray(changes) ? (changes as readonly Change[]) : [changes as Change];
}

function scenarioRun(engine: RunningEngine, later: (readonly Change[])[]): ScenarioRun {
  let people = 0;
  const nextPhone = (): string => `+4915${String(100_000_000 + people++)}`;
  const stats = (id: string): Promise<StatsJson> => engine.getJson<StatsJson>(`/api/campaigns/${id}/stats`);
  const sender = async (id = "main"): Promise<SenderJson> => {
    const { items } = await engine.getJson<{ items: readonly SenderJson[] }>("/api/senders");
    const found = items.find((one) => one.id === id);
    assert.ok(found, `there is no sender ${id}`);
    return found;
  };
  return {
    ...engine,
    stats,
    sender,
    later: async () => {
      const changes = later.shift();
      assert.ok(changes, "the scenario has no later event");
      await engine.simulator.setState(changes);
    },
    fill: async (campaignId, count, phone = nextPhone) => {
      const ids: string[] = [];
      for (let first = 0; first < count; first += ARRAY_LENGTH) {
        const length = Math.min(ARRAY_LENGTH, count - first);
        const events = Array.from({ length }, (_, index) => eventTo(phone(first + index), first + index));
        // oxlint-disable-next-line no-await-in-loop -- in order
        const answer = await engine.post(`/api/campaigns/${campaignId}/trigger`, events);
        // oxlint-disable-next-line no-await-in-loop -- see above
        const body = (await answer.json()) as { rejected: number; results: readonly { messageId: string }[] };
        assert.deepEqual([answer.status, body.rejected], [202, 0], JSON.stringify(body));
        ids.push(...body.results.map(({ messageId }) => messageId));
      }
      return ids;
    },
    trigger: async (campaignId, phone, more = {}) => {
      const answer = await engine.post(`/api/campaigns/${campaignId}/trigger`, {
        ...eventTo(phone, people++),
        ...more,
      });
      const body = (await answer.json()) as { messageId: string };
      assert.equal(answer.status, 202, JSON.stringify(body));
      return body.messageId;
    },
    message: (messageId) => engine.getJson<MessageJson>(`/api/messages/${messageId}`),
    campaign: (campaignId) => engine.getJson<CampaignJson>(`/api/campaigns/${campaignId}`),
    untilBlocked: async (errorCode, senderId) => {
      let block: SenderBlockJson | undefined;
      await until(`${errorCode} blocks`, async () => {
        block = (await sender(senderId)).blocks.find((one) => one.errorCode === errorCode);
        return block !== undefined;
      });
      assert.ok(block);
      return block;
    },
    untilDone: async (campaignIds, deadlineMs) => {
      await engine.untilNothingWaits(campaignIds, deadlineMs);
    },
  };
}

function eventTo(phone: string, number: number): Record<string, unknown> {
  return { phone, name: "Ana", order: `#${number}`, cart: `cart-${number}` };
}

/** WhatsApp took it, and it did not fail since. */
export function isGood({ status }: Pick<MessageJson, "status">): boolean {
  return GOOD.has(status);
}

/** What came to another end than a good one or one that chance gives, as "status code reason"; and what came twice. */
export async function burnt(run: ScenarioRun, campaignId: string): Promise<readonly string[]> {
  const rows = await run.csv(campaignId);
  const times = arrivals(await run.simulator.received());
  const twice = rows.filter(({ message_id: id = "" }) => (times.get(id) ?? 0) > 1);
  const bad = rows.filter(({ status = "", error_code: code = "" }) => !GOOD.has(status) && !CHANCE_CODES.has(code));
  return [
    ...twice.map(({ message_id: id }) => `${id} came twice`),
    ...bad.map(({ status, error_code: code, error_reason: reason }) => `${status} ${code} ${reason}`),
  ];
}

/** How often each message came to its person. */
function arrivals(sends: readonly ReceivedSend[]): ReadonlyMap<string, number> {
  const times = new Map<string, number>();
  for (const { bizOpaqueCallbackData, end } of sends) {
    if (end === null || end.status === "failed") continue;
    const id = bizOpaqueCallbackData.slice(0, MESSAGE_ID_LENGTH);
    times.set(id, (times.get(id) ?? 0) + 1);
  }
  return times;
}

/** Sends that the simulator refused with this code. */
export async function refused(run: ScenarioRun, errorCode: number): Promise<number> {
  const sends = await run.simulator.received();
  return sends.filter(({ answer }) => answer.kind === "refused" && answer.errorCode === errorCode).length;
}

const ATTRIBUTES = {
  phoneNumber: { path: "phone", type: "phone", required: true },
  name: { path: "name", type: "string", default: "there" },
  order: { path: "order", type: "string", required: true },
  cart: { path: "cart", type: "string", required: true },
} as const;

/** How long after a lost answer the policy decides. */
const UNCERTAIN_SECONDS = 5;

export function orders(more: Readonly<Record<string, unknown>> = {}): { id: string } {
  return campaign("orders", "transactional", {
    template: { name: "order_confirmation", language: "en_US", body: ["{{ name }}", "{{ order }}", "{{ cart }}"] },
    ...more,
  });
}

export function shipping(more: Readonly<Record<string, unknown>> = {}): { id: string } {
  const values = { first_name: "{{ name }}", order_name: "{{ order }}", carrier: "UPS", tracking_number: "{{ cart }}" };
  const buttons = [{ index: 0, value: "{{ cart }}" }];
  return campaign("shipping", "transactional", {
    template: { name: "shipping_update", language: "en_US", body: values, buttons },
    ...more,
  });
}

export function carts(more: Readonly<Record<string, unknown>> = {}): { id: string } {
  const body = ["{{ name }}", "{{ order }}", "10 EUR"];
  const buttons = [{ index: 0, value: "{{ cart }}" }];
  return campaign("carts", "marketing", {
    template: { name: "abandoned_cart", language: "en_US", body, buttons },
    ...more,
  });
}

function campaign(id: string, lane: string, more: Readonly<Record<string, unknown>>): { id: string } {
  const uncertain = { waitSeconds: UNCERTAIN_SECONDS, then: "resend" };
  const trigger = { attributes: ATTRIBUTES };
  return Object.assign({ id, sender: "main", status: "active", lane, uncertain, trigger }, more);
}
