import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { PAGES_MAX, listTemplates } from "../../engine/whatsapp/cloud-api-templates.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { type FetchedJson, ManagementCalls } from "../../engine/whatsapp/cloud-api-management.ts";
import type { TemplateListOptions } from "../../engine/whatsapp/cloud-api-templates.ts";
import { httpAnswer, onRequest, startRawServer } from "./raw-server.ts";

const SAMPLES = "../shared/samples";
const VERSION = { apiVersion: "v26.0", clock: systemClock };

/** Each list has calls of its own, so that none waits for another's pacing. */
function account(answer: (after: string | null) => Partial<FetchedJson>, asked: string[] = []): TemplateListOptions {
  const calls = new ManagementCalls({
    ...VERSION,
    baseUrl: "https://graph.example",
    fetchJson: async (url, headers) => {
      asked.push(url);
      assert.equal(headers["authorization"], "Bearer secret-token");
      return { httpStatus: 200, json: undefined, ...answer(new URL(url).searchParams.get("after")) };
    },
  });
  return { calls, wabaId: "77", accessToken: "secret-token" };
}

function template(name: string): object {
  const components = [{ type: "BODY", text: "Hi {{1}}" }];
  return {
    name,
    language: "en_US",
    status: "APPROVED",
    category: "UTILITY",
    parameter_format: "POSITIONAL",
    components,
    id: "12",
  };
}

function page(names: readonly string[], after: string, hasNext: boolean): object {
  const cursors = { before: "B", after };
  return {
    data: names.map(template),
    paging: hasNext ? { cursors, next: "https://evil.example/?x=1" } : { cursors },
  };
}

function failure(options: TemplateListOptions): Promise<{ code: string; message: string }> {
  return listTemplates(options).then(
    () => assert.fail("a broken list was taken"),
    (error) => error,
  );
}

test("reads page after page until there is no next one, and follows marks instead of addresses", async () => {
  const asked: string[] = [];
  const options = account(
    (after) => ({ json: after === null ? page(["a", "b"], "M1", true) : page(["c"], "M2", false) }),
    asked,
  );
  const templates = await listTemplates(options);
  assert.deepEqual(
    templates.map(({ name }) => name),
    ["a", "b", "c"],
  );
  assert.deepEqual(templates[0], template("a"));
  assert.ok(
    asked.every((url) =>
      url.startsWith(`https://graph.example/v26.0/${options.wabaId}/message_templates?fields=id,name,`),
    ),
  );
  assert.deepEqual(
    asked.map((url) => new URL(url).searchParams.get("after")),
    [null, "M1"],
  );
  assert.match(asked[0] ?? "", /parameter_format/);
});

test("a mark that never moves and a list without end are bounded", async () => {
  const asked: string[] = [];
  assert.equal((await listTemplates(account(() => ({ json: page(["a"], "SAME", true) }), asked))).length, 2);
  let mark = 0;
  const endless: string[] = [];
  const error = await failure(account(() => ({ json: page(["a"], `M${mark++}`, true) }), endless));
  assert.match(error.message, /more than 10000 templates/);
  assert.equal(endless.length, PAGES_MAX);
});

test("ids are text, missing fields are empty, and entries without name or language are left out", async () => {
  const data = [
    { name: "a", language: "en", id: 7, components: [null, { text: "x" }, { type: "BODY" }] },
    { name: "b" },
    null,
    "c",
  ];
  assert.deepEqual(await listTemplates(account(() => ({ json: { data } }))), [
    {
      id: "7",
      name: "a",
      language: "en",
      status: "",
      category: "",
      components: [{ type: "BODY" }],
    },
  ]);
});

test("an error of WhatsApp becomes a sentence without the token", async () => {
  const json = { error: { code: 190, error_subcode: 463, message: "Session has expired" } };
  const error = await failure(account(() => ({ httpStatus: 401, json })));
  assert.equal(error.code, "ERR_WHATSAPP_TEMPLATES");
  assert.match(
    error.message,
    /^Templates of WhatsApp Business account \d+ cannot be read: The access token has expired/,
  );
  assert.doesNotMatch(error.message, /secret/);
});

test("an answer that is no list fails the whole list, also on a later page", async () => {
  for (const json of [undefined, null, [], {}, { data: {} }]) {
    assert.match((await failure(account(() => ({ json })))).message, /is not (a list of templates|what was asked for)/);
  }
  const second = account((after) => (after === null ? { json: page(["a"], "M1", true) } : { httpStatus: 502 }));
  assert.match((await failure(second)).message, /HTTP 502/);
});

test("reads over HTTP, keeps the digits of long ids, and names a host that does not answer", async (context) => {
  const body = JSON.stringify({ data: [template("a")] }).replace('"12"', "90071992547409931");
  const server = await startRawServer((socket) => onRequestGet(socket, () => socket.write(httpAnswer(200, body))));
  context.after(() => server.close());
  const optionsFor = (baseUrl: string): TemplateListOptions => {
    return { calls: new ManagementCalls({ ...VERSION, baseUrl }), wabaId: "1", accessToken: "secret-token" };
  };
  const options = optionsFor(server.url);
  assert.equal((await listTemplates(options))[0]?.id, "90071992547409931");
  assert.match(server.received(), /^GET \/v26\.0\/1\/message_templates\?fields=\S+&limit=100 HTTP\/1\.1\r\n/);
  assert.match((await failure(optionsFor("http://127.0.0.1:1"))).message, /WhatsApp could not be reached/);
});

/** A GET has no length: its head is the whole request. */
function onRequestGet(socket: Parameters<typeof onRequest>[0], call: () => void): void {
  socket.on("data", (chunk) => {
    if (chunk.toString("latin1").endsWith("\r\n\r\n")) call();
  });
}

test("reads Meta's published lists", { skip: !existsSync(SAMPLES) }, async () => {
  const pages = ["_list.page1.json", "_list.page2.json"].map((name) =>
    JSON.parse(readFileSync(`${SAMPLES}/templates/${name}`, "utf8")),
  );
  const templates = await listTemplates(account((after) => ({ json: after === null ? pages[0] : pages[1] })));
  assert.equal(templates.length, pages[0].data.length + pages[1].data.length);
  for (const name of [
    "template-list-default-fields",
    "template-list-name-category-status",
    "template-list-status-approved",
  ]) {
    const json = JSON.parse(readFileSync(`${SAMPLES}/whatsapp/${name}.json`, "utf8"));
    await listTemplates(account(() => ({ json })));
  }
});
