// Pages that disagree with the code are worse than none, so what can be compared is compared: error codes in both
// directions, links, decisions, configuration keys.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { test } from "node:test";

import { ERROR_CODES } from "../engine/runtime/errors.ts";

const NOT_OURS = /^(node_modules|dist|data|\.)/;
const DECISIONS = join("docs", "decisions");

const read = (path: string): string => readFileSync(path, "utf8");
const sorted = (words: Iterable<string>): string[] => [...new Set(words)].toSorted();

const pages = ownFiles(".md");
const errorsPage = read(join("docs", "errors.md"));

function ownFiles(ending: string): string[] {
  const top = readdirSync(".").filter((name) => !NOT_OURS.test(name));
  const below = top
    .filter((name) => statSync(name).isDirectory())
    .flatMap((folder) => readdirSync(folder, { recursive: true, encoding: "utf8" }).map((path) => join(folder, path)));
  return [...top, ...below].filter((path) => path.endsWith(ending));
}

/** The first cells of the tables below these headings, as far as they are code. */
function codesBelow(page: string, headings: readonly string[]): string[] {
  const sections = page.split(/^#+ /m);
  const wanted = sections.filter((section) => headings.includes(section.split("\n", 1)[0] ?? ""));
  assert.equal(wanted.length, headings.length, `a heading of ${headings.join(", ")} is missing`);
  return sorted(wanted.flatMap((section) => capturesIn(section, /^\| `(\w+)` \|/gm)));
}

function capturesIn(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? "");
}

/** Codes of problem answers and of ignored events, as literals in the source. */
function httpCodesIn(text: string): string[] {
  const expressions = [
    ...capturesIn(text, /\bproblem\(\{[^{}]*?\bcode:\s*([^,}]+)/g),
    ...capturesIn(text, /\b(?:refused\(\d{3}|ignored(?:Body)?\(),?\s*("\w+")/g),
  ];
  return expressions.flatMap((expression) => capturesIn(expression, /"([a-z_]+)"/g));
}

function sourcesOf(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".ts"))
    .map((name) => read(join(folder, name)));
}

test("docs/errors.md has the engine's error codes, each with its own words, and no other", () => {
  assert.deepEqual(codesBelow(errorsPage, ["Engine errors"]), sorted(Object.keys(ERROR_CODES)));
  for (const [code, meaning] of Object.entries(ERROR_CODES)) {
    assert.ok(errorsPage.includes(`| \`${code}\` | ${meaning.replace(/\.$/, "")}`), `${code} is explained otherwise`);
  }
});

test("docs/errors.md has every code that an HTTP call can be refused with, and no other", () => {
  const sources = [...sourcesOf(join("engine", "ingress")), ...sourcesOf(join("engine", "api"))];
  const codes = sorted(sources.flatMap(httpCodesIn));
  assert.ok(codes.length > 20, `only ${codes.length} codes were found in the source: has problem() changed?`);
  assert.deepEqual(codesBelow(errorsPage, ["HTTP answers", "Ignored events"]), codes);
});

test("docs/errors.md has every code of an attribute, and no other", () => {
  const mapping = read(join("engine", "campaign", "mapping.ts"));
  const ofPayloads = capturesIn(/type PayloadFaultCode =[^;]+;/.exec(mapping)?.[0] ?? "", /"(\w+)"/g);
  const ofBodies = capturesIn(read(join("engine", "api", "request-body.ts")), /return "(\w+)";/g);
  assert.ok(ofPayloads.length > 0 && ofBodies.length > 0, "no codes were found in the source");
  assert.deepEqual(codesBelow(errorsPage, ["Attribute codes"]), sorted([...ofPayloads, ...ofBodies]));
});

for (const page of pages) {
  test(`every link in ${page} leads somewhere`, () => {
    const text = read(page).replaceAll(/^```.*?^ *```$/gms, "");
    for (const target of capturesIn(text, /\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [path = "", anchor] = target.split("#");
      const file = path === "" ? page : normalize(join(dirname(page), path));
      assert.ok(existsSync(file), `${target} does not exist`);
      if (anchor !== undefined) assert.ok(anchorsOf(read(file)).includes(anchor), `${target}: no such heading`);
    }
  });
}

/** As GitHub makes them of headings. */
function anchorsOf(text: string): string[] {
  const headings = capturesIn(text, /^#+ (.+)$/gm);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

test("every decision is listed and cited where somebody meets it", () => {
  const index = read(join(DECISIONS, "README.md"));
  const others = [...pages.filter((page) => !page.startsWith(DECISIONS)), ...ownFiles(".ts")].map(read).join("\n");
  for (const name of readdirSync(DECISIONS).filter((file) => /^\d{4}-/.test(file))) {
    const number = Number(name.slice(0, 4));
    assert.ok(index.includes(`[${number}](${name})`), `${name} is not in the list`);
    assert.ok(others.includes(name) || new RegExp(`decision ${number}\\b`, "i").test(others), `nobody cites ${name}`);
  }
});

for (const name of ["config", "campaign"]) {
  test(`config/README.md explains every key of ${name}.schema.json`, () => {
    const schema: unknown = JSON.parse(read(join("schemas", `${name}.schema.json`)));
    const explained = capturesIn(read(join("config", "README.md")), /`([^`\n]+)`/g).join("\n");
    const keys = sorted(keysOf(schema));
    assert.ok(keys.length > 10, "the schema has no keys");
    const missing = keys.filter((key) => !new RegExp(`\\b${key}\\b`).test(explained));
    assert.deepEqual(missing, []);
  });
}

/** Names below `properties`, at any depth. */
function keysOf(node: unknown): string[] {
  if (typeof node !== "object" || node === null) return [];
  const names = "properties" in node && typeof node.properties === "object" ? Object.keys(node.properties ?? {}) : [];
  return [...names, ...Object.values(node).flatMap(keysOf)];
}
