import assert from "node:assert/strict";
import { test } from "node:test";

import { volley } from "./volley-process.ts";

const COMMANDS = [
  "start",
  "demo",
  "simulator",
  "campaign apply",
  "campaign list",
  "campaign show",
  "campaign activate",
  "campaign pause",
  "campaign preview",
  "key create",
  "key list",
  "key revoke",
  "export",
  "replay",
  "config check",
  "doctor",
];

test("the overview lists every command", async () => {
  const { code, out } = await volley(["--help"]);
  assert.equal(code, 0);
  for (const name of COMMANDS) assert.match(out, new RegExp(`^  ${name} `, "m"));
});

test("every command explains itself with usage, options and an example", { concurrency: 2 }, async (context) => {
  for (const name of COMMANDS) {
    await context.test(name, async () => {
      const { code, out, err } = await volley([...name.split(" "), "--help"]);
      assert.equal(code, 0, err);
      assert.match(out, new RegExp(`^Usage: volley ${name}`, "m"));
      assert.match(out, /^Options:\n {2}--/m);
      assert.match(out, /^Examples?:\n {2}(volley|npm run)/m);
    });
  }
});

test("without a command the overview is shown and the exit code says that nothing was done", async () => {
  const { code, out } = await volley([]);
  assert.equal(code, 2);
  assert.match(out, /^Usage: volley <command>/);
});

test("half a command lists its other halves", async () => {
  const { code, out } = await volley(["campaign"]);
  assert.equal(code, 2);
  assert.match(out, /campaign apply/);
  assert.doesNotMatch(out, /key create/);
});

test("what is wrong with a command line is said in one line on stderr, with exit code 2", async () => {
  const lines: readonly (readonly [readonly string[], RegExp])[] = [
    [["exprot"], /^volley: There is no command "exprot": did you mean volley export\?\n$/],
    [
      ["campaign", "aply", "x"],
      /^volley: There is no command "campaign aply": did you mean volley campaign apply\?\n$/,
    ],
    [["campaign", "show"], /^volley: campaign show needs <campaign>; see volley campaign show --help\n$/],
    [["key", "list", "more"], /^volley: key list does not take "more"; see volley key list --help\n$/],
    [["export", "x", "--format", "xml"], /^volley: Unknown option '--format'; see volley export --help\n$/],
    [
      ["replay", "x", "--max-per-second", "fast"],
      /^volley: --max-per-second must be a whole number from 1 to 1000, not "fast"\n$/,
    ],
    [["key", "create", "x", "--scope", "root"], /^volley: --scope must be one of trigger, read, admin, not "root"\n$/],
    [["key", "list", "--url", "localhost", "--key", "k"], /^volley: "localhost" is not an http\(s\) address\.\n$/],
    [["export", "x", "--json"], /^volley: --json needs --out/],
    [["start", "--log-level", "loud"], /^volley: --log-level must be one of/],
  ];
  for (const [words, expected] of lines) {
    const { code, out, err } = await volley(words);
    assert.match(err, expected);
    assert.equal(code, 2, words.join(" "));
    assert.equal(out, "");
  }
});

test("an engine that is not there is one clear line", async () => {
  const { code, err } = await volley(["key", "list", "--url", "http://127.0.0.1:9", "--key", "k"]);
  assert.equal(code, 1);
  assert.match(err, /^volley: No engine answers at http:\/\/127\.0\.0\.1:9 \(.+\): start one with `volley start`.*\n$/);
});

test("a configuration that is not there is named when it is needed", async () => {
  const { code, err } = await volley(["key", "list"], { cwd: "/" });
  assert.equal(code, 1);
  assert.match(err, /config\/volley\.yaml/);
});
