import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { type FetchedJson, ManagementCalls, ManagementFault } from "../../engine/whatsapp/cloud-api-management.ts";
import { readNumber } from "../../engine/whatsapp/cloud-api-numbers.ts";
import { restAfterFault, restAfterUsage } from "../../engine/whatsapp/management-rest.ts";
import { ManualClock } from "../actor/manual-clock.ts";
import { until } from "../support/until.ts";

const USAGE_SAMPLE = "../shared/samples/whatsapp/header-x-business-use-case-usage.json";
/** While calls wait the clocks are compared so often; a rest is longer. */
const CLOCK_LOOK_MS = 5_000;
const CALL = { wabaId: "1", accessToken: "t", path: "1/message_templates", query: { fields: "id,name" } };

interface Desk {
  readonly calls: ManagementCalls;
  readonly clock: ManualClock;
  readonly asked: string[];
  /** Answers that are under way at once, at most. */
  most(): number;
}

function deskOf(answer: (url: string, count: number) => Partial<FetchedJson>): Desk {
  const clock = new ManualClock();
  const asked: string[] = [];
  let underWay = 0;
  let most = 0;
  const calls = new ManagementCalls({
    baseUrl: "https://graph.example",
    apiVersion: "v26.0",
    clock,
    fetchJson: async (url) => {
      asked.push(url);
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => void setTimeout(resolve, 25));
      underWay--;
      return { httpStatus: 200, json: { id: "1" }, ...answer(url, asked.length) };
    },
  });
  return { calls, clock, asked, most: () => most };
}

function usage(shares: Record<string, number>): string {
  return JSON.stringify({ "1": [{ type: "whatsapp_business_management", ...shares }] });
}

test("asks with the token in a header, and never more than two at once of one account", async () => {
  const { calls, asked, most } = deskOf(() => ({}));
  await Promise.all(Array.from({ length: 6 }, () => calls.get(CALL)));
  assert.equal(asked[0], "https://graph.example/v26.0/1/message_templates?fields=id,name");
  assert.deepEqual([asked.length, most()], [6, 2]);
});

test("a wall clock that is set back by an hour makes no call wait for an hour", async (context) => {
  const { calls, clock, asked } = deskOf(() => ({}));
  context.after(() => calls.close());
  await calls.get(CALL);
  // Bottleneck asks the machine; the engine's own clock is set with it.
  const machineNow = Date.now.bind(Date);
  context.mock.method(Date, "now", () => machineNow() - 3_600_000);
  clock.wallMs -= 3_600_000;
  await calls.get(CALL);
  assert.equal(asked.length, 2);
  // And one that is set back while calls wait for their turn.
  context.mock.method(Date, "now", () => machineNow() - 7_200_000);
  const waiting = [1, 2, 3].map(() => calls.get(CALL));
  await new Promise((resolve) => void setImmediate(resolve));
  clock.wallMs -= 3_600_000;
  clock.advance(5_000);
  await Promise.all(waiting);
  assert.equal(asked.length, 5);
});

test("a fault of Meta is a sentence with its code, an unreadable answer one without", async () => {
  const fault = (json: unknown, httpStatus = 400): Promise<unknown> =>
    deskOf(() => ({ httpStatus, json }))
      .calls.get(CALL)
      .then(
        () => assert.fail("a fault was taken for an answer"),
        (error: unknown) => error,
      );
  const known = await fault({ error: { code: 190, message: "expired" } });
  assert(known instanceof ManagementFault);
  assert.deepEqual([known.code, known.errorCode], ["ERR_WHATSAPP_MANAGEMENT", 190]);
  assert.match(known.message, /token/);
  const unread = await fault(undefined, 502);
  assert(unread instanceof ManagementFault);
  assert.deepEqual([unread.errorCode, /HTTP 502/.test(unread.message)], [null, true]);
});

for (const code of [80007, 80008, 4]) {
  test(`rests a minute after ${code}, twice as long after the next, and asks nothing meanwhile`, async () => {
    const { calls, clock, asked } = deskOf((_url, count) => (count <= 2 ? { json: { error: { code } } } : {}));
    await assert.rejects(calls.get(CALL));
    const second = assert.rejects(calls.get(CALL));
    await until("the second call rests", () => clock.lastInMs > CLOCK_LOOK_MS);
    assert.deepEqual([asked.length, clock.lastInMs], [1, 60_000]);
    clock.advance(60_000);
    await second;
    const third = calls.get(CALL);
    await until("the third call rests", () => clock.lastInMs > CLOCK_LOOK_MS);
    assert.deepEqual([asked.length, clock.lastInMs], [2, 120_000]);
    clock.advance(120_000);
    assert.deepEqual(await third, { id: "1" });
  });
}

test("rests as many minutes as the usage header says, and other accounts do not", async () => {
  const { calls, clock } = deskOf((url) =>
    url.includes("/1/") ? { usage: usage({ estimated_time_to_regain_access: 7 }) } : {},
  );
  await calls.get(CALL);
  const waiting = calls.get(CALL);
  await until("the call rests", () => clock.lastInMs > CLOCK_LOOK_MS);
  assert.equal(clock.lastInMs, 7 * 60_000);
  await calls.get({ ...CALL, wabaId: "2", path: "2/message_templates" });
  clock.advance(7 * 60_000);
  await waiting;
});

test("without a known number an account has 200 calls an hour, with one thousands", async () => {
  const { calls, asked } = deskOf(() => ({}));
  const all = Promise.allSettled(Array.from({ length: 230 }, () => calls.get(CALL)));
  await until("200 were asked", () => asked.length >= 200);
  await new Promise((resolve) => void setTimeout(resolve, 100));
  assert.equal(asked.length, 200);
  calls.noteRegistered("1");
  calls.noteRegistered("1");
  await all;
  assert.equal(asked.length, 230);
});

test("closing ends what rests and what waits, and nothing is asked any more", async () => {
  const { calls, clock, asked } = deskOf(() => ({ usage: usage({ estimated_time_to_regain_access: 60 }) }));
  await calls.get(CALL);
  const waiting = Promise.allSettled(Array.from({ length: 5 }, () => calls.get(CALL)));
  await until("calls rest", () => clock.lastInMs > CLOCK_LOOK_MS);
  await calls.close();
  assert.ok((await waiting).every(({ status }) => status === "rejected"));
  assert.deepEqual([asked.length, clock.lastInMs], [1, 0]);
});

test("reads a number with as many fields as its version knows", async () => {
  const { calls, asked } = deskOf((_url, count) =>
    count < 3 ? { httpStatus: 400, json: { error: { code: 100 } } } : { json: { throughput: { level: "HIGH" } } },
  );
  const standing = await readNumber({ calls, wabaId: "1", phoneNumberId: "106", accessToken: "t" });
  assert.equal(standing.messagesPerSecond, 1000);
  assert.match(asked[0] ?? "", /v26\.0\/106\?fields=throughput,\S+,platform_type/);
  assert.match(asked[2] ?? "", /fields=throughput,whatsapp_business_manager_messaging_limit$/);
});

test("a number that cannot be read is asked for once", async () => {
  const { calls, asked } = deskOf(() => ({ json: { error: { code: 190 } } }));
  await assert.rejects(readNumber({ calls, wabaId: "1", phoneNumberId: "106", accessToken: "t" }), /token/);
  assert.equal(asked.length, 1);
});

test("high use spreads the calls, foreign words do not", () => {
  assert.equal(restAfterUsage(""), 0);
  for (const odd of ["<html>", "[]", '{"1":null}', '{"1":[{"call_count":"many"}]}'])
    assert.equal(restAfterUsage(odd), 0);
  assert.equal(restAfterUsage(usage({ call_count: 79, total_time: 80 })), 0);
  assert.equal(restAfterUsage(usage({ call_count: 10, total_cputime: 90 })), 30_000);
  assert.equal(restAfterUsage(usage({ call_count: 250 })), 60_000);
  assert.equal(restAfterUsage(usage({ estimated_time_to_regain_access: 10_000 })), 3_600_000);
  assert.deepEqual([restAfterFault(190, 0), restAfterFault(null, 3), restAfterFault(4, 30)], [null, null, 3_600_000]);
});

test("Meta's sample of a usage header asks for no rest", { skip: !existsSync(USAGE_SAMPLE) }, () => {
  assert.equal(restAfterUsage(readFileSync(USAGE_SAMPLE, "utf8")), 0);
});
