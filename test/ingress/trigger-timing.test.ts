import assert from "node:assert/strict";
import { after, test } from "node:test";

import type { PayloadFault, Schedule, TriggerTiming } from "../../engine/ingress/trigger-campaign.ts";
import type { Payload } from "../../engine/ingress/payload.ts";
import type { Cancel } from "../../engine/message/cancel.ts";
import type { AcceptedEvent } from "../../engine/message/event.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { ANN, campaignOf, startTriggers, trigger, type TriggerStage } from "./trigger-kit.ts";

const CART = { campaignId: "cart", campaignNumber: 21, partition: 3 };
const ALL = { sendAt: true, key: true, cancels: true };
const SEND_AT_FAULT: PayloadFault = {
  pointer: "/sendAtMs",
  attribute: "sendAt",
  code: "invalid_format",
  message: "No.",
};

/** Takes `sendAtMs`, `key` and `cancel` of the payload as they are. */
function timing(uses: TriggerTiming["uses"] = ALL): TriggerTiming {
  return {
    uses,
    schedule(payload): Schedule {
      const { sendAtMs, key, cancel } = fieldsOf(payload);
      if (typeof sendAtMs === "string") return { kind: "invalid", faults: [SEND_AT_FAULT] };
      return {
        kind: "valid",
        sendAtMs: typeof sendAtMs === "number" ? sendAtMs : null,
        waitKey: typeof key === "string" ? key : null,
        cancels: typeof cancel === "string" ? [{ ...CART, key: cancel }] : [],
      };
    },
  };
}

function fieldsOf(payload: unknown): Payload {
  return typeof payload === "object" && payload !== null ? { ...payload } : {};
}

const stage: TriggerStage = await startTriggers();
after(() => stage.close());
stage.campaigns.set("timed", campaignOf("timed", 7, { timing: timing(), dedupe: { path: "id" } }));
stage.campaigns.set("paused", campaignOf("paused", 8, { timing: timing(), isActive: false }));
stage.campaigns.set(
  "cancelling",
  campaignOf("cancelling", 9, { timing: timing({ ...ALL, sendAt: false, key: false }) }),
);
const TIMED = { path: "/api/campaigns/timed/trigger" };

interface Committed {
  readonly events: readonly AcceptedEvent[];
  readonly cancels: readonly (Cancel & { readonly partition: number })[];
}

/** The commits that a call made. */
async function commitsOf(call: () => Promise<unknown>): Promise<readonly Committed[]> {
  const before = stage.commits().length;
  await call();
  return stage.commits().slice(before);
}

/** The only commit that a call made. */
async function commitOf(call: () => Promise<unknown>): Promise<Committed> {
  const [commit, ...others] = await commitsOf(call);
  assert(commit !== undefined && others.length === 0);
  return commit;
}

test("an accepted event carries its send time and its key, and one without them neither", async () => {
  const [timed] = await commitsOf(() => trigger(stage, { ...ANN, sendAtMs: 9e12, key: "t1" }, TIMED));
  assert.deepEqual([timed?.events[0]?.sendAtMs, timed?.events[0]?.waitKey, timed?.cancels], [9e12, "t1", []]);
  const [plain] = await commitsOf(() => trigger(stage, ANN, TIMED));
  assert.deepEqual(Object.keys(plain?.events[0] ?? {}), ["messageId", "phoneNumber", "attributes"]);
  const [untimed] = await commitsOf(() => trigger(stage, { ...ANN, sendAtMs: 9e12, key: "t1", cancel: "c" }));
  assert.deepEqual(Object.keys(untimed?.events[0] ?? {}), ["messageId", "phoneNumber", "attributes"]);
});

test("its cancels are in the same append, addressed to the campaign that they end messages of", async () => {
  const startedAtMs = systemClock.nowMs();
  const { events, cancels } = await commitOf(() => trigger(stage, { ...ANN, cancel: "t2" }, TIMED));
  assert.equal(events.length, 1);
  const { atMs = 0, ...cancel } = cancels[0] ?? {};
  assert.deepEqual(cancel, {
    partition: CART.partition,
    campaignNumber: CART.campaignNumber,
    key: "t2",
    by: events[0]?.messageId,
    byCampaignId: "timed",
  });
  assert.ok(atMs >= startedAtMs && atMs <= systemClock.nowMs());
});

test("twins in flight cancel once, and a repeat cancels nothing anew", async () => {
  const event = { ...ANN, id: 1, cancel: "t3" };
  const commits = await commitsOf(async () => {
    const release = stage.hold();
    const copies = Array.from({ length: 20 }, () => trigger(stage, event, TIMED));
    await stage.arrived(20);
    release();
    const answers = await Promise.all(copies);
    assert.equal(answers.filter(({ json }) => json["duplicate"] === false).length, 1);
  });
  assert.equal(commits.flatMap(({ cancels }) => cancels).length, 1);
  const repeated = await commitsOf(async () => {
    const { json } = await trigger(stage, event, TIMED);
    assert.equal(json["duplicate"], true);
  });
  assert.deepEqual(repeated, []);
});

test("what is filtered, rejected or comes to a paused campaign cancels nothing", async () => {
  const commits = await commitsOf(async () => {
    assert.equal((await trigger(stage, { ...ANN, paid: false, cancel: "t4" }, TIMED)).status, 200);
    assert.equal((await trigger(stage, { phone: "no", cancel: "t4" }, TIMED)).status, 422);
    assert.equal((await trigger(stage, { ...ANN, sendAtMs: "soon", cancel: "t4" }, TIMED)).status, 422);
    assert.equal(
      (await trigger(stage, { ...ANN, cancel: "t4" }, { path: "/api/campaigns/paused/trigger" })).status,
      409,
    );
    assert.equal((await trigger(stage, { ...ANN, cancel: "t4" }, { path: `${TIMED.path}?dryRun=true` })).status, 200);
  });
  assert.deepEqual(commits, []);
});

test("an event whose append fails is not accepted, and its cancels are gone with it", async () => {
  stage.state.failure = new Error("disk full");
  const event = { ...ANN, id: 5, cancel: "t5" };
  const failed = await commitsOf(async () => assert.equal((await trigger(stage, event, TIMED)).status, 503));
  stage.state.failure = null;
  assert.deepEqual(failed, []);
  const { cancels } = await commitOf(async () => {
    const { status, json } = await trigger(stage, event, TIMED);
    assert.deepEqual([status, json["duplicate"]], [202, false]);
  });
  assert.deepEqual(
    cancels.map(({ key }) => key),
    ["t5"],
  );
});

test("of an array each accepted item cancels its own, all in one append", async () => {
  const items = [
    { ...ANN, id: 61, cancel: "a", sendAtMs: 9e12 },
    { ...ANN, id: 62, cancel: "b" },
    { ...ANN, id: 61, cancel: "twin" },
    { phone: "no", cancel: "rejected" },
    { ...ANN, paid: false, cancel: "filtered" },
    { ...ANN, id: 63, key: "k" },
  ];
  const { events, cancels } = await commitOf(() => trigger(stage, items, TIMED));
  assert.deepEqual(
    cancels.map(({ key, by }) => [key, by]),
    [
      ["a", events[0]?.messageId],
      ["b", events[1]?.messageId],
    ],
  );
  assert.deepEqual(
    events.map(({ sendAtMs, waitKey }) => [sendAtMs, waitKey]),
    [
      [9e12, undefined],
      [undefined, undefined],
      [undefined, "k"],
    ],
  );
});

test("faults of the contact and of the send time come at once", async () => {
  const { status, json } = await trigger(stage, { sendAtMs: "soon" }, TIMED);
  assert.equal(status, 422);
  assert.deepEqual(
    json["errors"].map(({ attribute, code, pointer }: PayloadFault) => [attribute, code, pointer]),
    [
      ["phoneNumber", "required", "/phone"],
      ["name", "required", "/name"],
      ["sendAt", "invalid_format", "/sendAtMs"],
    ],
  );
});

test("a dry run tells when the message would go, what it waits under, and what the event would cancel", async () => {
  const dry = { path: `${TIMED.path}?dryRun=true` };
  const full = await trigger(stage, { ...ANN, sendAtMs: Date.UTC(2026, 10, 24), key: "k", cancel: "c" }, dry);
  assert.deepEqual(Object.keys(full.json), ["dryRun", "phoneNumber", "message", "sendAt", "key", "cancels", "request"]);
  assert.equal(full.json["sendAt"], "2026-11-24T00:00:00.000Z");
  assert.equal(full.json["key"], "k");
  assert.deepEqual(full.json["cancels"], [{ campaign: "cart", key: "c" }]);
  const empty = await trigger(stage, ANN, dry);
  assert.deepEqual([empty.json["sendAt"], empty.json["key"], empty.json["cancels"]], [null, null, []]);
  assert.equal((await trigger(stage, { ...ANN, sendAtMs: "soon" }, dry)).status, 422);
  const many = await trigger(stage, [ANN], dry);
  assert.deepEqual(many.json["results"][0].cancels, []);
});

test("a dry run says nothing of what the campaign does not have", async () => {
  const one = await trigger(stage, { ...ANN, cancel: "c" }, { path: "/api/campaigns/cancelling/trigger?dryRun=true" });
  assert.deepEqual(Object.keys(one.json), ["dryRun", "phoneNumber", "message", "cancels", "request"]);
  const none = await trigger(stage, ANN, { path: "/api/campaigns/orders/trigger?dryRun=true" });
  assert.deepEqual(Object.keys(none.json), ["dryRun", "phoneNumber", "message", "request"]);
});
