// The import law of engine/, checked by reading the source:
//
// 1. A stage imports message/ and runtime/ (and data from schemas/), never a sibling stage. Only a composition root knows
//    the order of the path, so the path can be read there from top to bottom.
// 2. A file does I/O only if its name says so, by naming a technology. Every other file is pure:
//    time, chance and the outside world reach it as arguments.
// 3. A file has at most LINES_MAX lines: one file, one noun.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, normalize, sep } from "node:path";
import { test } from "node:test";

const LINES_MAX = 400;
const SHARED = ["message", "runtime"];
const ROOT_FOLDERS = ["cli"];
const TECHNOLOGY = /\b(uws|http|jetstream|lmdb|cloud-api|thread|file|stdout|system)\b/;
const AMBIENT =
  /\b(random(Bytes|UUID|Int|FillSync)\(|performance\.now|fetch\(|set(Timeout|Interval|Immediate)\(|Date\.now\(|new Date\(\)|Math\.random\(|process\.(env|argv|exit|hrtime|nextTick|on|stdout|stderr|cwd))/;
const PURE_PACKAGES = [
  "node:assert/strict",
  "node:crypto",
  "node:buffer",
  "ajv",
  "ajv-formats",
  "liquidjs",
  "countries-and-timezones",
  "libphonenumber-js/max",
  "lossless-json",
  "msgpackr",
  "fast-json-stringify",
  "yaml",
  "fastest-levenshtein",
];
const IMPORT = /^(?:import|export)\b[^;]*?\bfrom\s+["']([^"']+)["']/gm;

const files = readdirSync("engine", { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => ({ path, text: readFileSync(join("engine", path), "utf8") }));

const stageOf = (path: string): string => path.split(sep)[0] ?? "";
const importsOf = (text: string): string[] => [...text.matchAll(IMPORT)].map((m) => m[1] ?? "");

test("the law is applied to real files", () => {
  assert.ok(files.length > 0, "engine/ holds no source: run from the repository root");
});

function importsOnlyItsStage(path: string, text: string): void {
  for (const target of importsOf(text).filter((name) => name.startsWith("."))) {
    const place = normalize(join(path, "..", target));
    const isSchema = /^\.\.\/schemas\/[^/]+\.json$/.test(place);
    const allowed = isSchema || [stageOf(path), ...SHARED].includes(stageOf(place));
    assert.ok(allowed, `${path} imports ${target}: let a composition root pass it in`);
  }
}

function isPure(path: string, text: string): void {
  assert.doesNotMatch(text, AMBIENT, `${path} reaches for the outside world: take it as an argument`);
  for (const name of importsOf(text).filter((target) => !target.startsWith("."))) {
    assert.ok(PURE_PACKAGES.includes(name), `${path} imports ${name}: name the technology or move it`);
  }
}

for (const { path, text } of files) {
  const isRoot = !path.includes(sep) || ROOT_FOLDERS.includes(stageOf(path));
  if (!isRoot) test(`engine/${path} imports no sibling stage`, () => importsOnlyItsStage(path, text));
  if (!isRoot && !TECHNOLOGY.test(path)) test(`engine/${path} is pure, as its name says`, () => isPure(path, text));
  test(`engine/${path} has at most ${LINES_MAX} lines`, () => {
    assert.ok(text.split("\n").length <= LINES_MAX, `${path}: which second noun is in this file?`);
  });
}
