// Every row of the error catalogue against the simulator, as an answer and as a failed status: what becomes of the message,
// what the CSV says, and what else has to wait.
//
// Each row has a number, an account and a token of its own, so that what it blocks disturbs no other. VOLLEY_TABLE=1 prints
// what happened, row by row.

import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";

import { ERROR_CATALOGUE } from "../../engine/whatsapp/error-catalogue.ts";
import type { ErrorEntry } from "../../engine/whatsapp/error-entry.ts";
import { runEngine, type RunningEngine } from "../support/running-engine.ts";
import { until } from "../support/until.ts";
import { greetingCampaign } from "../support/workspace.ts";

type Where = "answer" | "webhook";

interface Case {
  readonly entry: ErrorEntry;
  readonly where: Where;
  readonly id: string;
  readonly phone: string;
}

interface Message {
  readonly status: string;
  readonly errorCode: number | null;
  readonly errorReason: string;
  readonly timeline: readonly { readonly status: string; readonly errorCode: number | null; readonly detail: string }[];
}

interface SenderJson {
  readonly id: string;
  readonly blocks: readonly { readonly scope: string; readonly errorCode: number }[];
}

const GOOD = new Set(["sent", "delivered", "read"]);
/** Probes come after 30 s; what waits for longer than this is only seen to wait. */
const WAIT_MS_MAX = 60_000;
const PATIENCE_MS = 100_000;
/** The only scope that reaches every number of the engine. */
const isOfApp = (entry: ErrorEntry): boolean => entry.effect.kind === "blocked" && entry.effect.scope === "app";

for (const where of ["answer", "webhook"] as const) {
  const cases = ERROR_CATALOGUE.filter((entry) => entry.where === where || entry.where === "both").map((entry, index) =>
    caseOf(entry, where, index),
  );
  test(`every code that comes as ${where} does what the catalogue says`, { timeout: 240_000 }, async (context) => {
    await provoke(
      context,
      cases.filter(({ entry }) => !isOfApp(entry)),
    );
  });
  for (const single of cases.filter(({ entry }) => isOfApp(entry))) {
    test(`code ${single.entry.code} as ${where} stops the app`, { timeout: 240_000 }, async (context) => {
      await provoke(context, [single]);
    });
  }
}

function caseOf(entry: ErrorEntry, where: Where, index: number): Case {
  const id = `e${entry.code}${entry.subcode === undefined ? "" : `-${entry.subcode}`}`;
  return { entry, where, id, phone: `+4915${String(200_000_000 + index * 1_000)}` };
}

async function provoke(context: TestContext, cases: readonly Case[]): Promise<void> {
  const engine = await engineFor(cases);
  context.after(() => engine.stop());
  const messageIds = new Map<Case, string>();
  for (const each of cases) {
    // oxlint-disable-next-line no-await-in-loop -- a few dozen
    const answer = await engine.post(`/api/campaigns/${each.id}/trigger`, { phone: each.phone, order: "#1" });
    assert.equal(answer.status, 202, await answer.clone().text());
    // oxlint-disable-next-line no-await-in-loop -- see above
    messageIds.set(each, ((await answer.json()) as { messageId: string }).messageId);
  }
  const faults = await Promise.all(
    cases.map(async (each) => {
      const fault = await settle(engine, each, messageIds.get(each) ?? "");
      if (process.env["VOLLEY_TABLE"] === "1") context.diagnostic(fault.line);
      return fault.text;
    }),
  );
  assert.deepEqual(
    faults.filter((fault) => fault !== null),
    [],
  );
}

/** Waits until the message is where its code should bring it; the text says what was wrong instead. */
async function settle(
  engine: RunningEngine,
  each: Case,
  messageId: string,
): Promise<{ text: string | null; line: string }> {
  const { entry, where, id } = each;
  const wanted = expectationOf(entry, where);
  let message: Message | null = null;
  let blocks: readonly { readonly scope: string; readonly errorCode: number }[] = [];
  const isThere = async (): Promise<boolean> => {
    message = await engine.getJson<Message>(`/api/messages/${messageId}`);
    const senders = await engine.getJson<{ items: readonly SenderJson[] }>("/api/senders");
    blocks = [...blocks, ...(senders.items.find((sender) => sender.id === id)?.blocks ?? [])];
    return wanted.isMet(message, blocks);
  };
  const isMet = await until(id, isThere, PATIENCE_MS).then(
    () => true,
    () => false,
  );
  const seen: Message = message ?? { status: "", errorCode: null, errorReason: "", timeline: [] };
  const way = seen.timeline.map(({ status }) => status).join(" → ");
  const scopes = [...new Set(blocks.map(({ scope }) => scope))].join(", ");
  const line = `${entry.code} | ${where} | ${entry.class} | ${wanted.text} | ${way} | ${scopes} | ${sentenceOf(seen)}`;
  return { text: isMet ? null : `${line} (expected: ${wanted.text})`, line };
}

interface Expectation {
  readonly text: string;
  isMet(message: Message, blocks: readonly { readonly scope: string; readonly errorCode: number }[]): boolean;
}

function expectationOf(entry: ErrorEntry, where: Where): Expectation {
  const { effect, code, reason } = entry;
  const hasFailed = (message: Message): boolean =>
    message.status === "failed" && message.errorCode === code && message.errorReason.startsWith(reason);
  const hasMet = ({ timeline }: Message): boolean =>
    timeline.some((each) => each.errorCode === code && each.detail.startsWith(reason));
  const arrived = (message: Message): boolean => hasMet(message) && GOOD.has(message.status);
  const waits = (message: Message): boolean => hasMet(message) && ["queued", "retrying"].includes(message.status);
  const isOfTemplate = effect.kind === "blocked" && effect.scope === "template";
  if (effect.kind === "rejected" || (where === "webhook" && isOfTemplate)) return { text: "failed", isMet: hasFailed };
  if (effect.kind === "blocked") {
    const isBlocked: Expectation["isMet"] = (_message, blocks) =>
      blocks.some((block) => block.scope === effect.scope && block.errorCode === code);
    // The only one with a subcode: the number that WhatsApp does not know stays unknown.
    if (entry.subcode !== undefined) return { text: `blocked ${effect.scope}`, isMet: isBlocked };
    return effect.isFinal === true
      ? { text: `failed, blocked ${effect.scope}`, isMet: (...seen) => hasFailed(seen[0]) && isBlocked(...seen) }
      : { text: `blocked ${effect.scope}, then sent`, isMet: (...seen) => arrived(seen[0]) && isBlocked(...seen) };
  }
  if (where === "webhook") return { text: "failed", isMet: hasFailed };
  // The first way a message takes is the one that such an answer asks for: there is no other to try.
  if (effect.kind === "misrouted" && effect.route === "messages") return { text: "failed", isMet: hasFailed };
  if ("waitMs" in effect && (effect.waitMs ?? 0) >= WAIT_MS_MAX) return { text: "waits for minutes", isMet: waits };
  return { text: `${effect.kind}, then sent`, isMet: arrived };
}

function sentenceOf({ timeline }: Message): string {
  return timeline.find(({ errorCode }) => errorCode !== null)?.detail ?? "";
}

function engineFor(cases: readonly Case[]): Promise<RunningEngine> {
  const senders = cases.map(({ entry, id, phone }) => {
    const phoneNumberId = phone.slice(1);
    const isUnknown = entry.subcode !== undefined;
    const own = { phoneNumberId, wabaId: `9${phoneNumberId}`, accessToken: `token-${id}`, isUnknown };
    return [id, { ...own, messagesPerSecond: 80 }] as const;
  });
  return runEngine({
    senders: Object.fromEntries(senders),
    campaigns: cases.map(({ entry, id }) => {
      // Only marketing may have to take another way.
      return greetingCampaign(id, { sender: id, ...(entry.effect.kind === "misrouted" ? { lane: "marketing" } : {}) });
    }),
    scenario: {
      recipients: cases.map(({ entry, where, phone }) => {
        return { suffix: phone.slice(1), outcome: "failed", code: entry.code, where, times: 1 } as const;
      }),
    },
  });
}
