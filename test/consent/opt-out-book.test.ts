import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import * as fc from "fast-check";

import { openOptOuts } from "../../engine/consent/lmdb-opt-outs.ts";
import type { OptOutStore } from "../../engine/consent/opt-out-store.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import { type BookScene, NOW_MS, sceneOf, signalOf } from "./signals.ts";

const PHONE = "+14155552671";
const MESSAGE_ID = encodeMessageId({ partition: 1, campaignNumber: 2, acceptedAtMs: NOW_MS, node: 0, sequence: 3 });

function openScene(context: TestContext): BookScene & { readonly store: OptOutStore } {
  const folder = mkdtempSync(join(tmpdir(), "volley-opt-outs-"));
  const store = openOptOuts({ path: join(folder, "opt-outs") });
  context.after(async () => {
    await store.close();
    rmSync(folder, { recursive: true, force: true });
  });
  return { ...sceneOf(store), store };
}

test("a stop opts out, a later resume takes it back, an older one does not", async (context) => {
  const { book } = openScene(context);
  await book.hear([signalOf({ atMs: NOW_MS - 5_000 })], []);
  assert.deepEqual(book.find(PHONE), {
    phone: PHONE,
    userId: "",
    isOptedOut: true,
    sinceMs: NOW_MS - 5_000,
    source: "text",
    words: "STOP",
  });
  await book.hear([signalOf({ kind: "resume", atMs: NOW_MS - 6_000 })], []);
  assert.ok(book.find(PHONE));
  await book.hear([signalOf({ kind: "resume", atMs: NOW_MS - 4_000 })], []);
  assert.equal(book.find(PHONE), undefined);
  await book.hear([signalOf({ atMs: NOW_MS - 5_000 })], []);
  assert.equal(book.find(PHONE), undefined, "the same webhook once more");
});

test("all forms of a number find it", async (context) => {
  const { book } = openScene(context);
  await book.hear([signalOf({ waId: "554198765432" }), signalOf({ waId: "5215512345678" })], []);
  assert.ok(book.find("+5541998765432"));
  assert.ok(book.find("+525512345678"));
  assert.equal(book.find("+5541898765432"), undefined);
});

test("a refused send without a number counts for whom the message went to", async (context) => {
  const { book, phones, nobodies } = openScene(context);
  phones.set(MESSAGE_ID, PHONE);
  await book.hear([signalOf({ waId: "", messageId: MESSAGE_ID, source: "131050", words: "" })], []);
  assert.equal(book.find(PHONE)?.source, "131050");
  phones.clear();
  const lost = signalOf({ waId: "", messageId: MESSAGE_ID, source: "131050", words: "" });
  await book.hear([lost], []);
  assert.deepEqual(nobodies, [lost]);
});

test("a refused send counts for the number it went to and for the one that WhatsApp tells", async (context) => {
  const { book, phones } = openScene(context);
  phones.set(MESSAGE_ID, "+14155550100");
  await book.hear([signalOf({ messageId: MESSAGE_ID, source: "131050" })], []);
  assert.ok(book.find("+14155550100"));
  assert.ok(book.find(PHONE));
});

test("who is known by the user id only is suppressed once a webhook tells the number too", async (context) => {
  const { book } = openScene(context);
  const person = { waId: "14155552671", userId: "US.1349" };
  await book.hear([signalOf({ waId: "", userId: "US.1349" })], []);
  assert.equal(book.find(PHONE), undefined);
  await book.hear([], [person]);
  assert.equal(book.find(PHONE)?.words, "STOP");
  await book.hear([signalOf({ waId: "", userId: "US.1349", kind: "resume", atMs: NOW_MS })], []);
  await book.hear([], [person]);
  assert.equal(book.find(PHONE), undefined, "the resume came the same way");
});

test("a number that the same call tells counts at once", async (context) => {
  const { book } = openScene(context);
  await book.hear([signalOf({ waId: "", userId: "US.1" })], [{ waId: "14155552671", userId: "US.1" }]);
  assert.ok(book.find(PHONE));
});

test("a time that is missing or far ahead is now, so that something can be later than it", async (context) => {
  const { book } = openScene(context);
  await book.hear([signalOf({ atMs: 0 }), signalOf({ waId: "16505551234", atMs: NOW_MS * 2 })], []);
  assert.equal(book.find(PHONE)?.sinceMs, NOW_MS);
  assert.equal(book.find("+16505551234")?.sinceMs, NOW_MS);
});

test("an operator's removal is later than what it takes back", async (context) => {
  const { book } = openScene(context);
  await book.hear([signalOf({ atMs: NOW_MS + 60_000 })], []);
  assert.equal(await book.remove(PHONE), true);
  assert.equal(book.find(PHONE), undefined);
  assert.equal(await book.remove(PHONE), false);
  assert.equal(await book.remove("nonsense"), false);
});

test("an import tells what was new, and does not undo a later resume", async (context) => {
  const { book } = openScene(context);
  await book.hear([signalOf({ kind: "resume", atMs: NOW_MS - 1_000 })], []);
  const item = { sinceMs: NOW_MS - 2_000, source: "old.csv" };
  assert.equal(
    await book.add([
      { ...item, phone: PHONE },
      { ...item, phone: "+491511234567" },
    ]),
    1,
  );
  assert.equal(book.find(PHONE), undefined);
  assert.equal(await book.add([{ ...item, phone: "+491511234567" }]), 0);
  assert.equal(await book.add([{ phone: PHONE, sinceMs: null, source: "api" }]), 1);
  assert.equal(book.find(PHONE)?.sinceMs, NOW_MS);
});

test("however signals are ordered, repeated and cut into calls, the latest of each person stands", async (context) => {
  const { store } = openScene(context);
  let run = 0;
  const signal = fc.record({ kind: fc.constantFrom("stop", "resume"), atMs: fc.integer({ min: 1, max: 5 }) });
  const calls = fc.array(fc.array(signal, { maxLength: 4 }), { maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(calls, async (heard) => {
      const { book } = sceneOf(store);
      const waId = String(20_000_000_000 + run++);
      for (const call of heard)
        await book.hear(
          call.map((said) => signalOf({ ...said, waId })),
          [],
        );
      const all = heard.flat();
      const lastMs = Math.max(0, ...all.map(({ atMs }) => atMs));
      const isStopped = all.some(({ kind, atMs }) => kind === "stop" && atMs === lastMs);
      assert.equal(book.find(`+${waId}`) !== undefined, isStopped);
    }),
    { numRuns: 60 },
  );
});

test("pages hold those who are opted out, in order, each once", async (context) => {
  const { book, store } = openScene(context);
  const waIds = Array.from({ length: 25 }, (_, index) => String(30_000_000_000 + index));
  await book.hear(
    waIds.map((waId) => signalOf({ waId })),
    [],
  );
  for (const waId of waIds.filter((_, index) => index % 3 === 0)) await book.remove(`+${waId}`);
  const seen: string[] = [];
  let after: string | null = null;
  do {
    const page = store.page({ after, limit: 4 });
    assert.ok(page.optOuts.length <= 4);
    seen.push(...page.optOuts.map(({ phone }) => phone));
    after = page.next;
  } while (after !== null);
  assert.deepEqual(
    seen,
    waIds.filter((_, index) => index % 3 !== 0).map((waId) => `+${waId}`),
  );
});
