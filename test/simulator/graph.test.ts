/* oxlint-disable typescript/no-unsafe-type-assertion -- what is parsed here was written by the code under test. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { errorBody, httpStatusOf } from "../../engine/simulator/graph-error.ts";
import { listTemplates } from "../../engine/simulator/graph-reads.ts";
import { createWamids } from "../../engine/simulator/wamid.ts";
import { greeting } from "./fixtures.ts";

const many = Array.from({ length: 30 }, (_, index) => ({ ...greeting, name: `template_${index}`, id: String(index) }));

function page(query: string): { data: Record<string, unknown>[]; paging?: { next?: string } } {
  const reading = listTemplates(many, new URLSearchParams(query), "http://host/v26.0/1/message_templates");
  assert.equal(reading.kind, "found");
  return reading.body as ReturnType<typeof page>;
}

test("an error has Meta's envelope", () => {
  const details = "body: number of localizable_params (1) does not match the expected number of params (3)";
  assert.deepEqual(JSON.parse(errorBody({ code: 132000, details }, "trace")), {
    error: {
      message: "(#132000) Number of parameters does not match the expected number of params",
      type: "OAuthException",
      code: 132000,
      error_data: { messaging_product: "whatsapp", details },
      fbtrace_id: "trace",
    },
  });
});

const parse = (code: number) => (JSON.parse(errorBody({ code }, "t")) as { error: Record<string, unknown> }).error;

test("details are left out where Meta has none, and an unknown code is still an error", () => {
  assert.deepEqual(parse(133010), {
    message: "(#133010) Account not registered",
    type: "OAuthException",
    code: 133010,
    fbtrace_id: "t",
  });
  assert.equal(parse(2)["is_transient"], true);
  assert.equal(parse(987_654)["message"], "(#987654) Something went wrong");
  assert.deepEqual(
    [190, 131016, 130429, 987_654].map((code) => httpStatusOf({ code })),
    [401, 500, 400, 400],
  );
});

test("following paging.next meets every template once", () => {
  const names: unknown[] = [];
  let query = "fields=name,status&limit=7";
  for (let pages = 0; pages < 10; pages++) {
    const { data, paging } = page(query);
    names.push(...data.map((template) => template["name"]));
    assert.deepEqual(Object.keys(data[0] ?? {}), ["name", "status", "id"]);
    if (paging?.next === undefined) break;
    assert.match(paging.next, /^http:\/\/host\/v26\.0\/1\/message_templates\?fields=name%2Cstatus&limit=7&after=/);
    query = paging.next.slice(paging.next.indexOf("?") + 1);
  }
  assert.deepEqual(
    names,
    many.map((template) => template.name),
  );
});

test("templates can be filtered; a made-up cursor is refused", () => {
  assert.equal(page("name=template_3").data.length, 1);
  assert.equal(page("status=rejected").data.length, 0);
  const reading = listTemplates(many, new URLSearchParams("after=nonsense"), "http://host/");
  assert.equal(reading.kind === "refused" && reading.fault.code, 131059);
});

test("message ids are WhatsApp's in form and never the same", () => {
  const next = createWamids(1_800_000_000_000);
  const ids = Array.from({ length: 1000 }, () => next("14155550100"));
  assert.equal(new Set(ids).size, 1000);
  for (const id of ids) assert.match(id, /^wamid\.HBgLMTQxNTU1NTAxMDAVAgARGBI[A-Za-z0-9+/]{24}A$/);
});
