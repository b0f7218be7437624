import assert from "node:assert/strict";
import { test } from "node:test";

import { ask, InMemoryEngine, NOW_MS } from "./in-memory-engine.ts";

const PHONE = "+14155552671";
const SINCE = "2026-11-20T10:00:00.000Z";

async function engineWith(...phones: readonly string[]): Promise<InMemoryEngine> {
  const engine = new InMemoryEngine();
  const sinceMs = Date.parse(SINCE);
  await engine.optOuts.add(phones.map((phone) => ({ phone, sinceMs, source: "old.csv" })));
  return engine;
}

test("a number is looked up in whatever form it is asked for", async () => {
  const engine = await engineWith("+5541998765432");
  for (const phone of ["%2B5541998765432", "5541998765432", "%2B55%2041%209876-5432", " 554198765432"]) {
    const { status, text } = await ask(engine, "GET", `/api/opt-outs?phone=${phone}`);
    assert.equal(status, 200);
    const item = { phone: "+5541998765432", userId: null, since: SINCE, source: "old.csv", words: "" };
    assert.deepEqual(JSON.parse(text), { items: [item], cursor: null }, phone);
  }
  assert.deepEqual((await ask(engine, "GET", "/api/opt-outs?phone=14155552671")).body.items, []);
});

test("pages follow each other to the end", async () => {
  const phones = ["+4915110000001", "+4915110000002", "+4915110000003"];
  const engine = await engineWith(...phones);
  const first = await ask(engine, "GET", "/api/opt-outs?limit=2");
  assert.deepEqual([first.body.items.length, typeof first.body.cursor], [2, "string"]);
  const second = await ask(engine, "GET", `/api/opt-outs?limit=2&cursor=${first.body.cursor}`);
  assert.deepEqual([second.body.items.length, second.body.cursor], [1, null]);
  assert.deepEqual(
    phones.map((phone) => (first.text + second.text).includes(phone)),
    [true, true, true],
  );
});

test("a query that cannot be meant is refused with every fault", async () => {
  const { status, body } = await ask(await engineWith(), "GET", "/api/opt-outs?phone=abc&limit=0&phones=1");
  assert.deepEqual([status, body.code], [400, "invalid_query"]);
  assert.deepEqual(body.errors.map(({ parameter }) => parameter).toSorted(), ["limit", "phone", "phones"]);
});

test("an import counts what is new and names each item that it cannot read", async () => {
  const engine = await engineWith(PHONE);
  const items = [
    { phone: "+1 (415) 555-2671", since: SINCE },
    { phone: "+491511234567", since: "2026-01-02", source: "call" },
    { phone: "4155552671" },
    { phone: "+49 abc" },
    { phone: "+491511234568", since: "yesterday" },
    { phone: "+491511234569", since: "2027-01-01" },
    { phone: "+491511234570" },
  ];
  const { status, text } = await ask(engine, "POST", "/api/opt-outs", { body: { items } });
  assert.equal(status, 200);
  const { added, known, refused, errors } = JSON.parse(text);
  assert.deepEqual([added, known, refused], [2, 1, 4]);
  assert.deepEqual(
    errors.map(({ pointer }: { pointer: string }) => pointer),
    ["/items/2/phone", "/items/3/phone", "/items/4/since", "/items/5/since"],
  );
  assert.deepEqual(engine.optOuts.find("+491511234567")?.source, "call");
  assert.equal(engine.optOuts.find("+491511234570")?.sinceMs, NOW_MS);
  assert.equal(engine.optOuts.find("+491511234568"), undefined);
});

test("a list of which nothing can be read is refused", async () => {
  const { status, body } = await ask(await engineWith(), "POST", "/api/opt-outs", {
    body: { items: [{ phone: "x" }] },
  });
  assert.deepEqual([status, body.code, body.errors[0]?.code], [422, "invalid_body", "invalid_phone_number"]);
});

test("10,000 items are taken, 10,001 are not, nor is a body of another shape", async () => {
  const engine = await engineWith();
  const items = Array.from({ length: 10_000 }, (_, index) => ({ phone: `+${49_151_000_000 + index}` }));
  const many = await ask(engine, "POST", "/api/opt-outs", { body: { items } });
  assert.equal(JSON.parse(many.text).added, 10_000);
  const route = engine.routes.find(({ method, pattern }) => method === "post" && pattern === "/api/opt-outs");
  assert.ok((route?.bodyBytesMax ?? 0) > JSON.stringify({ items }).length);
  for (const body of [{ items: [...items, ...items.slice(0, 1)] }, { items: [] }, { items: [{ phone: 1 }] }, {}, []]) {
    assert.equal((await ask(engine, "POST", "/api/opt-outs", { body })).status, 422);
  }
});

test("a removal lets marketing through again, once", async () => {
  const engine = await engineWith(PHONE);
  assert.equal((await ask(engine, "DELETE", "/api/opt-outs/%2B14155552671")).status, 204);
  assert.equal(engine.optOuts.find(PHONE), undefined);
  const again = await ask(engine, "DELETE", "/api/opt-outs/%2B14155552671");
  assert.deepEqual([again.status, again.body.code], [404, "opt_out_not_found"]);
  assert.equal((await ask(engine, "DELETE", "/api/opt-outs/nonsense")).status, 404);
});

test("who has no key learns nothing", async () => {
  const engine = await engineWith(PHONE);
  assert.equal((await ask(engine, "GET", "/api/opt-outs", { key: "guess" })).status, 401);
});
