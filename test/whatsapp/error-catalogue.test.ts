import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";

import { DETAILS_LENGTH_MAX, ERROR_CATALOGUE, entryOf, reasonOf } from "../../engine/whatsapp/error-catalogue.ts";
import type { ErrorEffect, ErrorEntry } from "../../engine/whatsapp/error-entry.ts";

const DOCS = "docs/errors-whatsapp.md";

/** Every code of Meta's error page and of the projects that list more (state of 2026-11). */
const DOCUMENTED = [
  0, 1, 2, 3, 4, 10, 33, 100, 104, 190, 200, 250, 299, 368, 803, 80007, 80008, 130403, 130429, 130472, 130497, 131000,
  131005, 131008, 131009, 131016, 131021, 131026, 131030, 131031, 131035, 131036, 131037, 131042, 131044, 131045,
  131047, 131048, 131049, 131050, 131051, 131052, 131053, 131055, 131056, 131057, 131059, 131060, 131062, 131063,
  131064, 131200, 131299, 132000, 132001, 132005, 132007, 132008, 132012, 132015, 132016, 132018, 132068, 132069,
  133000, 133004, 133005, 133006, 133008, 133009, 133010, 133015, 133016, 134011, 134100, 134101, 134102, 135000,
  136024, 136025, 137000, 138000, 138999, 139000, 139103, 139200, 147001, 147005, 200005, 200006, 200007, 1752041,
  2388019, 2388293, 2388299, 2494100, 2593107, 2593108,
];

test("every documented code has an entry", () => {
  for (const code of DOCUMENTED) assert.ok(entryOf(code), `error ${code} is missing`);
});

test("no code has two entries", () => {
  const spans = ERROR_CATALOGUE.filter((entry) => entry.subcode === undefined);
  for (const [index, entry] of spans.entries()) {
    const next = spans[index + 1];
    if (next !== undefined) assert.ok((entry.through ?? entry.code) < next.code, `${entry.code} meets ${next.code}`);
  }
  for (const entry of ERROR_CATALOGUE) assert.equal(entryOf(entry.code, entry.subcode), entry);
});

test("an unknown subcode falls back to its code, an unknown code to nothing", () => {
  assert.equal(entryOf(100, 12345), entryOf(100));
  assert.notEqual(entryOf(100, 33), entryOf(100));
  assert.equal(entryOf(131_001), undefined);
  assert.equal(entryOf(-1), undefined);
});

test("reasons and hints are plain sentences without the words of the API", () => {
  for (const { code, reason, hint } of ERROR_CATALOGUE) {
    for (const sentence of [reason, hint]) {
      assert.match(sentence, /^[A-Z].*\.$/, `error ${code}: ${sentence}`);
      assert.doesNotMatch(
        sentence,
        /\b(WABA|BSUID|wamid|payload|throughput|HTTP|JSON|param\w*|OAuth)\b/i,
        `error ${code}`,
      );
      assert.ok(sentence.length <= 140, `error ${code} is long-winded: ${sentence.length}`);
    }
  }
});

test("details are one line, are cut and never end in half an emoji", () => {
  assert.equal(reasonOf(132000, " \t\n "), entryOf(132000)?.reason);
  const sentence = "A value in the message is not valid. WhatsApp says: ";
  assert.equal(reasonOf(131009, "a\r\nb\u0000  c"), `${sentence}a b c`);
  const cut = reasonOf(131009, `${"x".repeat(DETAILS_LENGTH_MAX - 1)}😀${"y".repeat(1000)}`);
  assert.equal(cut, `${sentence}${"x".repeat(DETAILS_LENGTH_MAX - 1)}…`);
  assert.equal(reasonOf(131026, "Message undeliverable"), entryOf(131026)?.reason);
});

function codesOf(entry: ErrorEntry): string {
  if (entry.subcode !== undefined) return `${entry.code} (subcode ${entry.subcode})`;
  return entry.through === undefined ? String(entry.code) : `${entry.code} to ${entry.through}`;
}

function wordsOf(effect: ErrorEffect): string {
  switch (effect.kind) {
    case "rejected":
      return effect.isTemplateStale === true ? "message fails; template is read again" : "message fails";
    case "transient":
      return "tried again";
    case "throttled":
      if (effect.scope === "pair") return "recipient waits";
      return effect.isRate === true ? "number slows down" : "number waits";
    case "blocked":
      if (effect.isFinal === true) return `message fails; blocked: ${effect.scope}`;
      return `blocked: ${effect.scope}${effect.isTemplateStale === true ? "; it is read again" : ""}`;
    case "misrouted":
      return `other interface: ${effect.route}`;
  }
}

function attemptsOf(effect: ErrorEffect): string {
  return effect.kind === "transient" && effect.attemptsMax !== undefined ? String(effect.attemptsMax) : "–";
}

function waitOf(effect: ErrorEffect): string {
  return "waitMs" in effect ? `${effect.waitMs / 1000} s` : "–";
}

function rowOf(entry: ErrorEntry): string {
  const { effect } = entry;
  const means = [entry.class, entry.where, wordsOf(effect), attemptsOf(effect), waitOf(effect)];
  return `| ${[codesOf(entry), ...means, entry.reason, entry.hint, entry.source].join(" | ")} |`;
}

test("docs/errors-whatsapp.md has exactly the rows of the catalogue", () => {
  const rows = ERROR_CATALOGUE.map(rowOf);
  const page = readFileSync(DOCS, "utf8");
  if (process.env["UPDATE_DOCS"] === "1") {
    const table = /(<!-- catalogue -->\n(?:\|.*\n){2})[^]*?(<!-- end -->)/;
    writeFileSync(
      DOCS,
      page.replace(table, (_all, head: string, end: string) => `${head}${rows.join("\n")}\n${end}`),
    );
    return;
  }
  const documented = page.split("\n").filter((line) => /^\| \d/.test(line));
  const table = `The table as it should be (or run this test with UPDATE_DOCS=1):\n${rows.join("\n")}`;
  for (const row of rows) assert.ok(documented.includes(row), `not in ${DOCS}: ${row}\n${table}`);
  for (const row of documented) assert.ok(rows.includes(row), `not in the catalogue: ${row}\n${table}`);
  assert.deepEqual(documented, rows);
});

test("docs/errors-whatsapp.md explains every tag, class, place and effect that its table uses", () => {
  const page = readFileSync(DOCS, "utf8");
  for (const tag of new Set(ERROR_CATALOGUE.map((entry) => entry.source)))
    assert.match(page, new RegExp(`^- \`${tag}\``, "m"));
  for (const words of new Set(ERROR_CATALOGUE.map((entry) => wordsOf(entry.effect)))) {
    assert.match(page, new RegExp(`^- .*\\*\\*${words}\\*\\*`, "m"));
  }
  for (const word of new Set(ERROR_CATALOGUE.map((entry) => entry.class)))
    assert.match(page, new RegExp(`^- \`${word}\`: `, "m"));
  for (const word of new Set(ERROR_CATALOGUE.map((entry) => entry.where)))
    assert.match(page, new RegExp(`column \\*where\\*[^|]*\`${word}\``));
});
