import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { test } from "node:test";

import { faultText } from "../../engine/runtime/file-fault.ts";
import { loadTemplateFolder } from "../../engine/runtime/template-file.ts";
import { settingsFolder } from "./settings-folder.ts";

const template = (name: string, language = "en_US"): Record<string, unknown> => ({
  name,
  language,
  status: "APPROVED",
  category: "UTILITY",
  components: [{ type: "BODY", text: "Hello {{1}}" }],
});

test("a file holds one template, or a list as Meta answers it", (context) => {
  const folder = settingsFolder(context);
  folder.write("one.json", JSON.stringify(template("one")));
  folder.write("page.json", JSON.stringify({ data: [template("two"), template("two", "de")], paging: {} }, null, 2));
  folder.write("README.md", "no template");
  const { templates, faults } = loadTemplateFolder(folder.path);
  assert.deepEqual(
    templates.map(({ name, language }) => `${name}/${language}`),
    ["one/en_US", "two/en_US", "two/de"],
  );
  assert.deepEqual(faults, []);
});

test("fields that Volley does not know stay, and ids keep every digit", (context) => {
  const folder = settingsFolder(context);
  const text = JSON.stringify({ ...template("one"), quality_score: { score: "GREEN" }, id: 0 });
  folder.write("one.json", text.replace('"id":0', '"id":1234567890123456789'));
  const [one] = loadTemplateFolder(folder.path).templates;
  assert.equal(one?.id, "1234567890123456789");
  assert.deepEqual(one?.["quality_score"], { score: "GREEN" });
});

test("a template with a fault is left out and named, the others load", (context) => {
  const folder = settingsFolder(context);
  folder.write(
    "a.json",
    '{\n  "name": "a",\n  "language": "en_US",\n  "status": "APPROVED",\n  "category": 5,\n  "components": [{}]\n}',
  );
  folder.write("b.json", JSON.stringify(template("b")));
  folder.write("c.json", "{");
  const { templates, faults } = loadTemplateFolder(folder.path);
  assert.deepEqual(
    templates.map(({ name }) => name),
    ["b"],
  );
  const lines = faults.map((fault) => faultText(fault).replace(`${folder.path}/`, ""));
  assert.deepEqual(lines.slice(0, 2), [
    "a.json:5:15 category: expected a category such as UTILITY, found a number; put it in quotes",
    "a.json:6:18 components[0].type: missing; expected a type such as BODY",
  ]);
  assert.match(lines[2] ?? "", /^c\.json:1:\d/);
});

test("of two templates with one name and language the first counts", (context) => {
  const folder = settingsFolder(context);
  folder.write("a.json", JSON.stringify(template("same")));
  folder.write("b.json", JSON.stringify({ data: [template("same")] }));
  const { templates, faults } = loadTemplateFolder(folder.path);
  assert.equal(templates.length, 1);
  assert.equal(faults[0]?.path, "data[0].name");
});

test("a folder that is not there has no templates", () => {
  assert.deepEqual(loadTemplateFolder("/nowhere/templates"), { templates: [], faults: [] });
});

const SAMPLES = "../shared/samples/templates";
test("real answers load", { skip: !existsSync(SAMPLES) }, () => {
  const { templates, faults } = loadTemplateFolder(SAMPLES);
  assert.ok(templates.length >= 15, `${templates.length} templates`);
  const unexpected = faults.filter(
    ({ file, message }) => !/_send-examples|_list/.test(file) && !message.includes("was there before"),
  );
  assert.deepEqual(unexpected, []);
});
