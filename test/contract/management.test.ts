// What the engine learns from Meta's management side while it runs, and what operators see of it.

import assert from "node:assert/strict";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { parse, stringify } from "yaml";

import { type Engine, startEngine } from "../../engine/main.ts";
import { until } from "../support/until.ts";
import {
  createWorkspace,
  GREETING,
  greetingCampaign,
  OFFER,
  PHONE_NUMBER_ID,
  WABA_ID,
  type Workspace,
} from "../support/workspace.ts";
import { type Client, clientOf, type List } from "./contract-kit.ts";
import { type Meta, signatureOf, startMeta } from "./meta-server.ts";

interface Sender {
  readonly id: string;
  readonly messagesPerSecond: number;
  readonly dailyRecipients: number | "unlimited";
  readonly rate: { readonly configured: number | "auto"; readonly granted: number | null; readonly now: number };
  readonly recipients: { readonly used: number; readonly limit: number | null; readonly allowance: number | null };
  readonly standing: { readonly level: string; readonly quality: string } | null;
  readonly blocks: readonly { readonly scope: string; readonly since: string; readonly errorCode: number }[];
  readonly blocked: { readonly reason: string } | null;
}

interface Parked {
  readonly status: string;
  readonly parked: {
    readonly since: string;
    readonly reasons: readonly string[];
    readonly takesEvents: boolean;
  } | null;
}

interface Scene {
  readonly meta: Meta;
  readonly workspace: Workspace;
  readonly engine: Engine;
  readonly admin: Client;
  senders(): Promise<readonly Sender[]>;
  campaign(id: string): Promise<Parked>;
  trigger(campaignId: string, number: number): Promise<string>;
}

type Config = Record<string, unknown> & { senders: Record<string, Record<string, unknown>> };

async function openScene(
  context: TestContext,
  options: {
    readonly prepare?: (meta: Meta) => void;
    readonly change?: (config: Config, folder: string) => void;
    readonly environment?: (folder: string) => Record<string, string>;
  } = {},
): Promise<Scene> {
  const meta = await startMeta();
  options.prepare?.(meta);
  const campaigns = [greetingCampaign("orders"), greetingCampaign("news", { lane: "marketing" })];
  const workspace = await createWorkspace({ whatsappUrl: meta.url, campaigns });
  const { configFile, folder, url } = workspace;
  const config = parse(readFileSync(configFile, "utf8")) as Config;
  options.change?.(config, folder);
  writeFileSync(configFile, stringify(config));
  const environment = options.environment?.(folder) ?? {};
  const engine = await startEngine({ configFile, environment, simulator: "never", logLevel: "silent" });
  meta.webhookUrl = `${url}/webhooks/whatsapp`;
  context.after(async () => {
    meta.release();
    await engine.stop();
    await meta.close();
    workspace.remove();
  });
  const admin = clientOf(url, engine.adminKey);
  return {
    meta,
    workspace,
    engine,
    admin,
    senders: async () => (await admin.get<List<Sender>>("/api/senders")).body.items,
    campaign: async (id) => (await admin.get<Parked>(`/api/campaigns/${id}`)).body,
    trigger: async (campaignId, number) => {
      const event = { phone: `+1415555${2000 + number}`, first_name: "Ana", order: `#${number}` };
      const answer = await admin.trigger(campaignId, event);
      assert.equal(answer.status, 202, JSON.stringify(answer.body));
      return answer.body.messageId;
    },
  };
}

async function only(scene: Scene): Promise<Sender> {
  const [sender] = await scene.senders();
  assert(sender !== undefined);
  return sender;
}

function autoLimits(config: Config): void {
  config.senders = { main: { ...config.senders["main"], messagesPerSecond: "auto" } };
}

test("auto limits are what Meta grants, at the start and after a webhook", async (context) => {
  const scene = await openScene(context, {
    change: autoLimits,
    prepare: (meta) => {
      const number = { throughput: { level: "STANDARD" }, whatsapp_business_manager_messaging_limit: "TIER_2K" };
      meta.number = { ...number, quality_rating: "GREEN", some_new_field: { x: 1 } };
    },
  });
  await until("the number was read", async () => (await only(scene)).standing !== null);
  const before = await only(scene);
  assert.deepEqual(before.rate, { configured: "auto", granted: 80, now: 80 });
  assert.deepEqual([before.messagesPerSecond, before.dailyRecipients], [80, 2000]);
  assert.deepEqual([before.recipients.limit, before.recipients.allowance], [2000, 2000]);
  assert.equal(before.standing?.quality, "GREEN");
  scene.meta.number = { throughput: { level: "HIGH" }, whatsapp_business_manager_messaging_limit: "TIER_UNLIMITED" };
  await scene.meta.postNews("phone_number_quality_update", {
    event: "THROUGHPUT_UPGRADE",
    current_limit: "TIER_UNLIMITED",
  });
  await until("the upgrade is in force", async () => (await only(scene)).messagesPerSecond === 1000);
  const after = await only(scene);
  assert.deepEqual([after.dailyRecipients, after.recipients.allowance], ["unlimited", null]);
});

test("no more people than Meta grants, marketing first to wait, and known ones always", async (context) => {
  const scene = await openScene(context, {
    prepare: (meta) => (meta.number = { whatsapp_business_manager_messaging_limit: 20 }),
  });
  await until("the limit is known", async () => (await only(scene)).recipients.allowance === 20);
  for (let number = 0; number < 25; number++) await scene.trigger("news", number);
  await scene.meta.untilSends(19);
  await until("they are counted", async () => (await only(scene)).recipients.used === 19);
  await scene.trigger("orders", 100);
  await scene.meta.untilSends(20);
  await scene.trigger("orders", 101);
  await scene.trigger("orders", 3);
  await scene.meta.untilSends(21);
  const to = scene.meta.sends.map(({ body }) => body.to);
  assert.equal(new Set(to).size, 20);
  assert.ok(to.includes("+14155552100") && !to.includes("+14155552101"));
});

test("a paused template parks its campaigns, keeps what comes for them, and lets it go once approved", async (context) => {
  const scene = await openScene(context);
  scene.meta.templates = [{ ...GREETING, status: "PAUSED" }, OFFER];
  const about = { message_template_id: Number(GREETING.id), message_template_name: GREETING.name };
  await scene.meta.postNews("message_template_status_update", { event: "PAUSED", ...about });
  const parked = await scene.campaign("orders");
  assert.equal(parked.status, "paused");
  assert.match(parked.parked?.reasons.join() ?? "", /greeting is PAUSED/);
  assert.ok(Date.now() - Date.parse(parked.parked?.since ?? "") < 60_000);
  assert.equal((await scene.campaign("news")).parked, null);
  const messageId = await scene.trigger("orders", 1);
  await scene.trigger("news", 2);
  await scene.meta.untilSends(1);
  const waiting = await scene.admin.get<{ status: string }>(`/api/messages/${messageId}`);
  assert.deepEqual([waiting.body.status, scene.meta.sends[0]?.body.template.name], ["queued", "offer"]);
  scene.meta.templates = [GREETING, OFFER];
  await scene.meta.postNews("message_template_status_update", { event: "APPROVED", ...about });
  await scene.meta.untilSends(2);
  assert.equal((await scene.campaign("orders")).parked, null);
});

test("a template that Meta makes marketing parks the transactional campaign, and says what to do", async (context) => {
  const scene = await openScene(context);
  const moved = { previous_category: "UTILITY", category: "MARKETING" };
  scene.meta.templates = [{ ...GREETING, ...moved }, OFFER];
  const about = { message_template_id: GREETING.id, previous_category: "UTILITY", new_category: "MARKETING" };
  await scene.meta.postNews("template_category_update", about);
  assert.match((await scene.campaign("orders")).parked?.reasons.join() ?? "", /^lane: .*set lane: marketing/);
});

test("a token in a file applies while the engine runs, and what waited for it goes", async (context) => {
  const fileIn = (folder: string): string => join(folder, "token");
  const scene = await openScene(context, {
    prepare: (meta) => (meta.validToken = "first"),
    change: (config, folder) => {
      config.senders = { main: { ...config.senders["main"], accessToken: "${TOKEN}" } };
      writeFileSync(fileIn(folder), "first\n");
    },
    environment: (folder) => ({ TOKEN_FILE: fileIn(folder) }),
  });
  await scene.trigger("orders", 1);
  await scene.meta.untilSends(1);
  scene.meta.validToken = "second";
  await scene.trigger("orders", 2);
  await until("the token is refused", async () => (await only(scene)).blocked !== null);
  const { blocks } = await only(scene);
  assert.deepEqual(
    blocks.map(({ scope, errorCode }) => [scope, errorCode]),
    [["token", 190]],
  );
  assert.ok(Date.now() - Date.parse(blocks[0]?.since ?? "") < 60_000);
  const file = fileIn(scene.workspace.folder);
  writeFileSync(`${file}.new`, "second\n");
  renameSync(`${file}.new`, file);
  await scene.meta.untilSends(2);
  await until("the block is gone", async () => (await only(scene)).blocked === null);
});

test("an expired token of one number is known to the others that have it", async (context) => {
  const number = { wabaId: WABA_ID, accessToken: "shared", messagesPerSecond: 80 };
  const scene = await openScene(context, {
    prepare: (meta) => (meta.validToken = "shared"),
    change: (config) => {
      config.senders = {
        main: { ...number, phoneNumberId: PHONE_NUMBER_ID },
        second: { ...number, phoneNumberId: "206540352242922" },
        other: { ...number, phoneNumberId: "306540352242922", accessToken: "own" },
      };
    },
  });
  scene.workspace.writeCampaign(greetingCampaign("by-second", { sender: "second" }));
  await until("the campaign is there", async () => (await scene.campaign("by-second")).status === "active");
  await scene.trigger("by-second", 1);
  await scene.meta.untilSends(1);
  scene.meta.validToken = "new";
  await scene.trigger("orders", 2);
  const blocked = async (): Promise<readonly string[]> => {
    return (await scene.senders()).filter(({ blocks }) => blocks.length > 0).map(({ id }) => id);
  };
  await until("both wait", async () => (await blocked()).length === 2);
  assert.deepEqual((await blocked()).toSorted(), ["main", "second"]);
});

test("while the app secret changes, the new one and the one before are taken", async (context) => {
  const scene = await openScene(context);
  const config = parse(readFileSync(scene.workspace.configFile, "utf8")) as Config;
  const whatsapp = config["whatsapp"] as Record<string, unknown>;
  const statusOf = async (secret: string): Promise<number> => {
    const body = JSON.stringify({ object: "whatsapp_business_account", entry: [] });
    const headers = { "x-hub-signature-256": signatureOf(body, secret) };
    return (await fetch(scene.meta.webhookUrl, { method: "POST", headers, body })).status;
  };
  const before = String(whatsapp["appSecret"]);
  config["whatsapp"] = { ...whatsapp, appSecret: "new-secret", appSecretBefore: before };
  writeFileSync(scene.workspace.configFile, stringify(config));
  await until("the new secret is taken", async () => (await statusOf("new-secret")) === 200);
  assert.deepEqual([await statusOf(before), await statusOf("wrong")], [200, 401]);
  config["whatsapp"] = { ...whatsapp, appSecret: "new-secret" };
  writeFileSync(scene.workspace.configFile, stringify(config));
  await until("the old one is not", async () => (await statusOf(before)) === 401);
});
