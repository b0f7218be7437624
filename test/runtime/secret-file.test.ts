import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";

import { loadConfig, type LoadedConfig } from "../../engine/runtime/config-file.ts";
import type { Environment } from "../../engine/runtime/environment-reference.ts";
import { EngineError } from "../../engine/runtime/errors.ts";
import { secretsOf, withSecrets } from "../../engine/runtime/live-secrets.ts";
import { readSecretFiles } from "../../engine/runtime/secret-file.ts";

const CONFIG = `whatsapp: { appSecret: "\${APP}", verifyToken: "\${VERIFY}" }
senders:
  main: { phoneNumberId: "1", wabaId: "2", accessToken: "\${TOKEN}" }
`;

function folderOf(context: TestContext): (name: string, text?: string) => string {
  const folder = mkdtempSync(join(tmpdir(), "volley-secrets-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return (name, text) => {
    const path = join(folder, name);
    if (text !== undefined) writeFileSync(path, text);
    return path;
  };
}

function load(file: (name: string, text?: string) => string, environment: Environment): LoadedConfig {
  return loadConfig({ file: file("volley.yaml", CONFIG), environment });
}

test("a variable that is not set takes what stands in the file that NAME_FILE names", (context) => {
  const file = folderOf(context);
  const token = file("token", "EAA1\n");
  const loaded = load(file, { TOKEN_FILE: token, APP: "a", VERIFY: "v" });
  assert.equal(loaded.config.senders["main"]?.accessToken, "EAA1");
  assert.deepEqual([loaded.hasCredentials, loaded.secretFiles], [true, [token]]);
});

test("a variable that is set goes before its file, and files nobody refers to are not opened", (context) => {
  const file = folderOf(context);
  const token = file("token", "from the file");
  const { environment, files } = readSecretFiles("${TOKEN}", { TOKEN: "set", TOKEN_FILE: token, OTHER_FILE: token });
  assert.deepEqual([environment["TOKEN"], environment["OTHER"], files], ["set", undefined, []]);
});

test("a file that is named and gives nothing is a fault that never shows a secret", (context) => {
  const file = folderOf(context);
  for (const [path, reason] of [
    [file("missing"), /cannot be read: ENOENT/],
    [file("empty", " \n"), /is empty/],
    [file("large", "x".repeat(70_000)), /has 70000 bytes/],
  ] as const) {
    assert.throws(
      () => load(file, { TOKEN_FILE: path, APP: "s3cret", VERIFY: "v" }),
      (error: unknown) => {
        assert(error instanceof EngineError && error.code === "ERR_CONFIG_INVALID");
        assert.match(
          error.message,
          /^\S+volley\.yaml:3:\d+ senders\.main\.accessToken: the file .+named by TOKEN_FILE/,
        );
        assert.match(error.message, reason);
        assert.doesNotMatch(error.message, /s3cret/);
        return true;
      },
    );
  }
});

test("secrets that changed are taken and named, one that is empty now is not", (context) => {
  const file = folderOf(context);
  const { config } = load(file, { TOKEN: "t1", APP: "a1", VERIFY: "v1" });
  const fresh = load(file, { TOKEN: "t2", APP: "", VERIFY: "v1" }).config;
  const taken = withSecrets(config, secretsOf(fresh));
  assert.deepEqual(taken.changed, ["senders.main.accessToken"]);
  assert.deepEqual([taken.config.senders["main"]?.accessToken, taken.config.whatsapp.appSecret], ["t2", "a1"]);
  assert.deepEqual(withSecrets(config, secretsOf(config)).changed, []);
});
