import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import { compileQuietHours } from "../../engine/campaign/quiet-hours.ts";
import { compileTiming } from "../../engine/campaign/timing.ts";
import type { Schedule, Timing } from "../../engine/campaign/timing.ts";
import { SEND_AHEAD_MS_MAX } from "../../engine/message/campaign.ts";
import type { CampaignDefinition } from "../../engine/message/campaign.ts";
import { campaignOf, compiled, faultsOf, templateOf } from "./campaign-fixture.ts";

const NOW_MS = Date.UTC(2026, 10, 23, 12);
const HOUR_MS = 3_600_000;

type Timed = Pick<CampaignDefinition, "sendAt" | "key" | "cancels">;

function timingOf(timed: Timed): Timing {
  const result = compileTiming(timed);
  assert(result.kind === "compiled" && result.timing !== null, JSON.stringify(result));
  return result.timing;
}

function scheduleOf(timed: Timed, payload: unknown): Schedule & { kind: "valid" } {
  const schedule = timingOf(timed).schedule(payload, NOW_MS);
  assert(schedule.kind === "valid", JSON.stringify(schedule));
  return schedule;
}

const sendAtOf = (sendAt: NonNullable<Timed["sendAt"]>, payload: unknown): number | null =>
  scheduleOf({ sendAt }, payload).sendAtMs;

function faultsIn(timed: Timed, payload: unknown): string[] {
  const schedule = timingOf(timed).schedule(payload, NOW_MS);
  return schedule.kind === "valid"
    ? []
    : schedule.faults.map(({ attribute, code, pointer }) => `${attribute} ${code} ${pointer}`);
}

test("a campaign with none of the three has no timing", () => {
  assert.deepEqual(compileTiming({}), { kind: "compiled", timing: null });
  assert.equal(compiled(campaignOf({ template: { body: [] } }), templateOf({ body: "Hello!" })).timing, null);
});

test("an offset alone counts from the acceptance", () => {
  assert.equal(sendAtOf({ offset: 90 }, {}), NOW_MS + 90_000);
  assert.equal(sendAtOf({ offset: "1d 12h" }, {}), NOW_MS + 36 * HOUR_MS);
});

test("a time of the payload is kept, before or after it as the offset says", () => {
  const payload = { start: "2026-11-25T12:00:00Z" };
  assert.equal(sendAtOf({ path: "start" }, payload), NOW_MS + 48 * HOUR_MS);
  assert.equal(sendAtOf({ path: "start", offset: "-24h" }, payload), NOW_MS + 24 * HOUR_MS);
  assert.equal(sendAtOf({ path: ["none", "start"], offset: 3600 }, payload), NOW_MS + 49 * HOUR_MS);
});

test("a time without a zone is of the campaign's", () => {
  assert.equal(sendAtOf({ path: "at", timeZone: "Europe/Berlin" }, { at: "2026-11-24" }), Date.UTC(2026, 10, 23, 23));
  assert.equal(sendAtOf({ path: "at" }, { at: "2026-11-24" }), Date.UTC(2026, 10, 24));
});

test("what is past, or not there, is sent at once", () => {
  for (const at of ["2026-11-23T12:00:00Z", "2020-01-01", 1_692_787_781, null, "", "  ", []]) {
    assert.equal(sendAtOf({ path: "at" }, { at }), null, JSON.stringify(at));
  }
  assert.equal(sendAtOf({ path: "at", offset: "-2h" }, { at: NOW_MS + HOUR_MS }), null);
});

test("a required time that is not there is a fault, named by its first path", () => {
  const sendAt = { path: ["a.b", "c"], required: true };
  assert.deepEqual(faultsIn({ sendAt }, { c: " " }), ["sendAt required /a/b"]);
  assert.deepEqual(faultsIn({ sendAt }, { c: "2020-01-01" }), []);
});

test("what is no time is a fault with its pointer, and its value is not repeated", () => {
  assert.deepEqual(faultsIn({ sendAt: { path: ["a", "b"] } }, { b: "tomorrow" }), ["sendAt invalid_format /b"]);
  assert.deepEqual(faultsIn({ sendAt: { path: "a" } }, { a: 30 }), ["sendAt invalid_format /a"]);
  for (const a of [true, {}, ["2026-11-24"]]) {
    assert.deepEqual(faultsIn({ sendAt: { path: "a" } }, { a }), ["sendAt wrong_type /a"]);
  }
  const schedule = timingOf({ sendAt: { path: "a" } }).schedule({ a: "tomorrow" }, NOW_MS);
  assert.doesNotMatch(JSON.stringify(schedule), /tomorrow/);
});

test("60 days ahead is the limit", () => {
  assert.equal(sendAtOf({ path: "at" }, { at: NOW_MS + SEND_AHEAD_MS_MAX }), NOW_MS + SEND_AHEAD_MS_MAX);
  assert.equal(sendAtOf({ offset: "60d" }, {}), NOW_MS + SEND_AHEAD_MS_MAX);
  assert.deepEqual(faultsIn({ sendAt: { path: "at" } }, { at: NOW_MS + SEND_AHEAD_MS_MAX + 1 }), [
    "sendAt invalid_format /at",
  ]);
  assert.deepEqual(faultsIn({ sendAt: { path: "at", offset: 1 } }, { at: NOW_MS + SEND_AHEAD_MS_MAX }), [
    "sendAt invalid_format /at",
  ]);
});

test("whatever the payload, a message goes at once, within 60 days, or is refused", () => {
  const value = fc.oneof(
    fc.jsonValue(),
    fc.integer({ min: 0, max: 4e12 }),
    fc.date({ noInvalidDate: true }).map(String),
  );
  const offset = fc.integer({ min: -86_400, max: 86_400 });
  fc.assert(
    fc.property(value, offset, (at, seconds) => {
      const schedule = timingOf({ sendAt: { path: "at", offset: seconds } }).schedule({ at }, NOW_MS);
      if (schedule.kind === "invalid") return assert.ok(schedule.faults.length > 0);
      const { sendAtMs } = schedule;
      if (sendAtMs !== null) assert.ok(sendAtMs > NOW_MS && sendAtMs <= NOW_MS + SEND_AHEAD_MS_MAX);
    }),
  );
});

const keyOf = (id: unknown): string | null => scheduleOf({ key: { path: "id" } }, { id }).waitKey;

test("a key is text without blanks around it, or the digits of a number", () => {
  assert.equal(keyOf("  abc def \n"), "abc def");
  assert.equal(keyOf(5), "5");
  assert.equal(keyOf("5"), "5");
  assert.equal(keyOf(-1.5), "-1.5");
  assert.equal(keyOf(1e21), "1000000000000000000000");
  // As the door hands on integers beyond 2^53.
  assert.equal(keyOf("820982911946154508"), "820982911946154508");
});

test("what is no text and no number is no key", () => {
  for (const id of [undefined, null, "", " ", true, {}, ["a"], Number.NaN]) assert.equal(keyOf(id), null);
  assert.equal(scheduleOf({ key: { path: ["a", "b"] } }, { a: " ", b: "x" }).waitKey, "x");
});

test("a key has at most 255 characters", () => {
  assert.equal(keyOf("k".repeat(255))?.length, 255);
  assert.deepEqual(faultsIn({ key: { path: ["a", "b"] } }, { b: "k".repeat(256) }), ["key too_long /b"]);
  assert.deepEqual(faultsIn({ key: { path: "k" }, sendAt: { path: "at" } }, { k: "k".repeat(256), at: "soon" }), [
    "sendAt invalid_format /at",
    "key too_long /k",
  ]);
});

test("an event cancels what its keys name, and nothing where they name nothing", () => {
  const cancels = [
    { campaign: "cart", key: { path: ["checkout_token", "cart_token"] } },
    { campaign: "packed", key: { path: "order.id" } },
  ];
  assert.deepEqual(scheduleOf({ cancels }, { cart_token: " t ", order: { id: 7 } }).cancels, [
    { campaignId: "cart", key: "t" },
    { campaignId: "packed", key: "7" },
  ]);
  assert.deepEqual(scheduleOf({ cancels }, { checkout_token: null, order: { id: "k".repeat(256) } }).cancels, []);
});

test("who waits and who cancels read the same value alike, whatever it is", () => {
  const timed = { key: { path: "a" }, cancels: [{ campaign: "x", key: { path: "b.c" } }] };
  fc.assert(
    fc.property(
      fc.oneof(fc.string(), fc.double({ min: -1e200, max: 1e200 }), fc.integer(), fc.bigInt().map(String)),
      (value) => {
        const { waitKey, cancels } = scheduleOf(timed, { a: value, b: { c: value } });
        assert.deepEqual(cancels, waitKey === null ? [] : [{ campaignId: "x", key: waitKey }]);
      },
    ),
  );
});

test("integers agree as number and as text", () => {
  fc.assert(fc.property(fc.maxSafeInteger(), (id) => assert.equal(keyOf(id), keyOf(` ${id} `))));
});

test("paths that cannot be read are faults of the campaign, beside those of its template", () => {
  const definition: CampaignDefinition = {
    ...campaignOf({ template: { body: ["{{ nobody }}"] } }),
    sendAt: { path: ["at", "a..b"], offset: "soon", timeZone: "Nowhere" },
    key: { path: "[" },
    cancels: [{ campaign: "x", key: { path: "" } }],
  };
  const found = faultsOf(definition, templateOf({ body: "Hello {{1}}!" }));
  for (const expected of [
    /^template\.body/,
    /^sendAt\.path: path "a\.\.b"/,
    /^sendAt\.offset/,
    /^sendAt\.timeZone/,
    /^key\.path: path "\["/,
    /^cancels\[0\]\.key\.path: path "" is empty/,
  ]) {
    assert.ok(
      found.some((line) => expected.test(line)),
      `${expected.source} not in\n${found.join("\n")}`,
    );
  }
});

test("quiet hours are minutes of the day, of the recipient's clock unless a zone is named", () => {
  const marketing = campaignOf({ lane: "marketing" });
  assert.equal(compileQuietHours(marketing), null);
  assert.deepEqual(compileQuietHours({ ...marketing, quietHours: { from: "21:05", to: "09:00" } }), {
    fromMinute: 1265,
    toMinute: 540,
    timeZone: null,
  });
  assert.deepEqual(
    compileQuietHours({ ...marketing, quietHours: { from: "00:00", to: "23:59", timeZone: "Asia/Tokyo" } }),
    { fromMinute: 0, toMinute: 1439, timeZone: "Asia/Tokyo" },
  );
});
