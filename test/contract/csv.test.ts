// The CSV byte by byte.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { parseCsv } from "../support/csv.ts";
import { type RunningEngine, runEngine } from "../support/running-engine.ts";
import { GREETING, greetingCampaign } from "../support/workspace.ts";
import { adminOf, type Batch, type Client, csvText } from "./contract-kit.ts";

const HEADER =
  "message_id,campaign_id,phone_number,template_name,template_language,message,status,error_code,error_reason," +
  "attempts,wamid,accepted_at,dispatched_at,sent_at,delivered_at,read_at,failed_at,pricing_category";
const BARE = { ...GREETING, name: "bare", components: [{ type: "BODY", text: "{{1}}{{2}}" }] };
const ISO = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

let engine: RunningEngine;
let admin: Client;

before(async () => {
  const bare = { name: "bare", language: "en_US", body: ["{{ firstName }}", "{{ orderName }}"] };
  const campaigns = ["guarded", "ordered", "flowing", "ends", "none"].map((id) =>
    greetingCampaign(id, id === "guarded" ? { template: bare } : {}),
  );
  engine = await runEngine({
    campaigns,
    templates: [GREETING, BARE],
    scenario: {
      statuses: { readShare: 1 },
      recipients: [
        { suffix: "98", outcome: "failed", code: 131026, where: "webhook" },
        { suffix: "97", outcome: "failed", code: 131008, where: "answer" },
      ],
    },
  });
  admin = adminOf(engine);
});

after(async () => engine.stop());

test("has the contract's header and nothing else before the first message", async () => {
  assert.equal(await csvText(engine.url, engine.key, "none"), `${HEADER}\r\n`);
  const answer = await fetch(`${engine.url}/api/campaigns/none/messages.csv`, { headers: { "x-api-key": engine.key } });
  assert.match(answer.headers.get("content-type") ?? "", /^text\/csv/);
});

test("quotes as RFC 4180 has it and disarms formulas in the message, not in the phone number", async () => {
  const starts = ["=1+1", "+cmd", "-2", "@SUM(A1)", "plain", 'say "hi", Ana', "'quoted", "Zoë 🛒"];
  for (const first_name of starts) {
    const answer = await admin.trigger("guarded", { phone: "+14155552671", first_name, order: "|x" });
    assert.equal(answer.status, 202);
  }
  await engine.untilNothingWaits(["guarded"]);
  const text = await csvText(engine.url, engine.key, "guarded");
  assert.ok(text.endsWith("\r\n") && !/[^\r]\n/.test(text), "every line ends with CRLF");
  const rows = parseCsv(text);
  assert.deepEqual(
    rows.map((row) => row["message"]),
    ["'=1+1|x", "'+cmd|x", "'-2|x", "'@SUM(A1)|x", "plain|x", 'say "hi", Ana|x', "'quoted|x", "Zoë 🛒|x"],
  );
  assert.ok(rows.every((row) => row["phone_number"] === "+14155552671"));
  assert.match(text, /,"say ""hi"", Ana\|x",/);
});

test("keeps the order of acceptance, in arrays too", async () => {
  const expected: string[] = [];
  for (let round = 0; round < 20; round++) {
    const events = Array.from({ length: 10 }, (_, index) => ({
      phone: `+1415555${1000 + round * 10 + index}`,
      order: "#1",
    }));
    const { body } = await admin.trigger<Batch>("ordered", events);
    expected.push(...body.results.map(({ messageId }) => messageId ?? ""));
  }
  const rows = parseCsv(await csvText(engine.url, engine.key, "ordered"));
  assert.deepEqual(
    rows.map((row) => row["message_id"]),
    expected,
  );
});

test("has one row an accepted event, whole, while messages flow", async () => {
  const flow = { accepted: 0, isDone: false };
  const flowing = (async (): Promise<void> => {
    for (let round = 0; round < 30; round++) {
      const phones = Array.from({ length: 50 }, (_, index) => `+1415556${1000 + round * 50 + index}`);
      const events = phones.map((phone) => ({ phone, order: "#1" }));
      assert.equal((await admin.trigger("flowing", events)).status, 202);
      flow.accepted += events.length;
    }
    flow.isDone = true;
  })();
  let exports = 0;
  while (!flow.isDone) {
    const least = flow.accepted;
    const rows = parseCsv(await csvText(engine.url, engine.key, "flowing"));
    assert.ok(rows.length >= least, `${rows.length} rows of ${least} accepted`);
    assert.equal(new Set(rows.map((row) => row["message_id"])).size, rows.length);
    assert.ok(rows.every((row) => Object.keys(row).length === 18 && ISO.test(row["accepted_at"] ?? "")));
    exports += 1;
  }
  await flowing;
  assert.ok(exports > 0);
  await engine.untilNothingWaits(["flowing"]);
  const acceptedAt = (await engine.csv("flowing")).map((row) => row["accepted_at"] ?? "");
  assert.equal(acceptedAt.length, 1500);
  assert.deepEqual(acceptedAt, acceptedAt.toSorted());
});

test("tells times, ends and reasons; what was not reached is empty", async () => {
  for (const phone of ["+14155552671", "+14155552698", "+14155552697"]) {
    assert.equal((await admin.trigger("ends", { phone, order: "#1" })).status, 202);
  }
  await engine.untilNothingWaits(["ends"]);
  const [read, failedLater, failedAtOnce] = await engine.csv("ends");
  assert.deepEqual([read?.["status"], failedLater?.["status"], failedAtOnce?.["status"]], ["read", "failed", "failed"]);
  const steps = ["accepted_at", "dispatched_at", "sent_at", "delivered_at", "read_at"].map(
    (name) => read?.[name] ?? "",
  );
  assert.ok(
    steps.every((at) => ISO.test(at)),
    steps.join(),
  );
  assert.deepEqual(steps, steps.toSorted());
  assert.deepEqual(
    [read?.["failed_at"], read?.["error_code"], read?.["error_reason"], read?.["attempts"]],
    ["", "", "", "1"],
  );
  assert.notEqual(read?.["wamid"], "");
  assert.equal(read?.["pricing_category"], "utility");
  assert.deepEqual([read?.["template_name"], read?.["template_language"]], ["greeting", "en_US"]);

  assert.deepEqual([failedLater?.["error_code"], failedAtOnce?.["error_code"]], ["131026", "131008"]);
  for (const failed of [failedLater, failedAtOnce]) {
    assert.match(failed?.["failed_at"] ?? "", ISO);
    assert.match(failed?.["error_reason"] ?? "", /^[A-Z].* /);
    assert.deepEqual([failed?.["delivered_at"], failed?.["read_at"]], ["", ""]);
    assert.equal(failed?.["message"], "Hello there, your order #1 is on its way.");
  }
  assert.deepEqual([failedAtOnce?.["wamid"], failedAtOnce?.["sent_at"]], ["", ""]);
});
