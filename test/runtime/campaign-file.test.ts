import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";

import { loadCampaignFile, loadCampaignFolder } from "../../engine/runtime/campaign-file.ts";
import type { CampaignFile } from "../../engine/runtime/campaign-file.ts";
import { faultText } from "../../engine/runtime/file-fault.ts";
import { SETTINGS_BYTES_MAX } from "../../engine/runtime/settings-file.ts";
import { settingsFolder } from "./settings-folder.ts";

const campaign = (id: string, auth = "{ type: apiKey }"): string => `id: ${id}
sender: main
status: active
trigger:
  auth: ${auth}
  attributes:
    phoneNumber: { path: phone, type: phone }
template: { name: hello, language: en_US }
`;
const SIGNED = `{ type: hmac, header: X-Signature, encoding: hex, secrets: ["\${OLD}", "\${NEW}"] }`;

/** Without the temporary folder. */
function faultLines({ faults }: CampaignFile, folder: string): string[] {
  return faults.map((fault) => faultText(fault).replace(`${folder}/`, ""));
}

function secretsOf(file: CampaignFile): readonly string[] {
  assert(file.kind === "loaded" && file.definition.trigger.auth.type === "hmac");
  return file.definition.trigger.auth.secrets;
}

test("a campaign's secrets come from the environment", (context) => {
  const file = settingsFolder(context).write("a.yaml", campaign("a", SIGNED));
  const loaded = loadCampaignFile(file, { OLD: "one", NEW: "two" });
  assert.deepEqual(secretsOf(loaded), ["one", "two"]);
  assert.deepEqual(loaded.faults, []);
});

test("an unset secret is a fault of the campaign, which loads all the same", (context) => {
  const folder = settingsFolder(context);
  const file = folder.write("a.yaml", campaign("a", SIGNED));
  const one = loadCampaignFile(file, { NEW: "two" });
  assert.deepEqual(secretsOf(one), ["two"]);
  assert.deepEqual(faultLines(one, folder.path), [
    "a.yaml:5:69 trigger.auth.secrets[0]: the environment variable OLD is not set",
  ]);
  const none = loadCampaignFile(file, {});
  assert.deepEqual(secretsOf(none), []);
  assert.equal(none.faults.length, 2);
});

test("an unset URL token is a fault too, and never an empty token", (context) => {
  const file = settingsFolder(context).write("a.yaml", campaign("a", '{ type: urlToken, token: "${TOKEN}" }'));
  const loaded = loadCampaignFile(file, {});
  assert(loaded.kind === "loaded");
  assert.deepEqual(loaded.definition.trigger.auth, { type: "urlToken" });
  assert.deepEqual(
    loaded.faults.map(({ path }) => path),
    ["trigger.auth.token"],
  );
});

test("anywhere else an unset variable refuses the file", (context) => {
  const folder = settingsFolder(context);
  const file = folder.write("a.yaml", campaign("${NAME}"));
  const refused = loadCampaignFile(file, {});
  assert.equal(refused.kind, "refused");
  assert.equal(faultLines(refused, folder.path)[0], "a.yaml:1:5 id: the environment variable NAME is not set");
});

test("a file without secrets at all needs one", (context) => {
  const folder = settingsFolder(context);
  const file = folder.write("a.yaml", campaign("a", "{ type: hmac, header: X, encoding: hex, secrets: [] }"));
  assert.deepEqual(faultLines(loadCampaignFile(file, {}), folder.path), [
    "a.yaml:5:58 trigger.auth.secrets: expected a list of one secret, or of two while one is being replaced",
  ]);
});

test("contradictions are placed in the file", (context) => {
  const folder = settingsFolder(context);
  const file = folder.write("a.yaml", campaign("a").replace("type: phone", "type: string"));
  assert.deepEqual(faultLines(loadCampaignFile(file, {}), folder.path), [
    'a.yaml:7:39 trigger.attributes.phoneNumber.type: expected phone, found "string"',
  ]);
});

test("a folder's good campaigns load beside a bad one", (context) => {
  const folder = settingsFolder(context);
  folder.write("b.yml", campaign("b"));
  folder.write("a.yaml", campaign("a"));
  folder.write(
    "c.json",
    JSON.stringify(
      {
        id: "c",
        sender: "main",
        trigger: { attributes: { phoneNumber: { path: "p", type: "phone" } } },
        template: { name: "x", language: "de" },
      },
      null,
      "\t",
    ),
  );
  folder.write("d.yaml", "id: d\nsendr: main\n");
  folder.write("notes.txt", "no campaign");
  folder.write(".hidden.yaml", "no campaign");
  const { campaigns } = loadCampaignFolder(folder.path, {});
  assert.deepEqual(
    campaigns.map(({ kind, file }) => `${file.replace(`${folder.path}/`, "")} ${kind}`),
    ["a.yaml loaded", "b.yml loaded", "c.json loaded", "d.yaml refused"],
  );
});

test("of two files with one id the second is refused, and told which has it", (context) => {
  const folder = settingsFolder(context);
  folder.write("a.yaml", campaign("same"));
  folder.write("b.yaml", `name: B\n${campaign("same")}`);
  const [first, second] = loadCampaignFolder(folder.path, {}).campaigns;
  assert(first?.kind === "loaded" && second?.kind === "refused");
  assert.equal(
    second.faults[0]?.message,
    `expected an id of its own, but ${join(folder.path, "a.yaml")} has "same" already`,
  );
  assert.equal(second.faults[0]?.line, 2);
});

test("a second reading parses changed files only", (context) => {
  const folder = settingsFolder(context);
  folder.write("a.yaml", campaign("a"));
  folder.write("b.yaml", campaign("b"));
  const first = loadCampaignFolder(folder.path, {});
  folder.write("b.yaml", campaign("b2"));
  const second = loadCampaignFolder(folder.path, {}, first);
  assert.equal(second.campaigns[0], first.campaigns[0]);
  const changed = second.campaigns[1];
  assert(changed?.kind === "loaded");
  assert.equal(changed.definition.id, "b2");
});

test("an id is free again once the file that had it says another one", (context) => {
  const folder = settingsFolder(context);
  folder.write("a.yaml", campaign("same"));
  folder.write("b.yaml", campaign("same"));
  const first = loadCampaignFolder(folder.path, {});
  folder.write("a.yaml", campaign("other"));
  const second = loadCampaignFolder(folder.path, {}, first);
  assert.deepEqual(
    second.campaigns.map(({ kind }) => kind),
    ["loaded", "loaded"],
  );
});

test("a folder that is not there has no campaigns", () => {
  assert.deepEqual(loadCampaignFolder("/nowhere/campaigns", {}).campaigns, []);
});

test("a file that is not there, or larger than SETTINGS_BYTES_MAX, is refused with the reason", (context) => {
  const folder = settingsFolder(context);
  const missing = loadCampaignFile(join(folder.path, "none.yaml"), {});
  assert.deepEqual(faultLines(missing, folder.path), ["none.yaml:1:1 there is no such file"]);
  const large = folder.write("large.yaml", `# ${"x".repeat(SETTINGS_BYTES_MAX)}`);
  assert.match(loadCampaignFile(large, {}).faults[0]?.message ?? "", /exceed SETTINGS_BYTES_MAX/);
});
