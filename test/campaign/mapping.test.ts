import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";

import type { AttributeDefinition, AttributeType, TriggerDefinition } from "../../engine/message/campaign.ts";
import { ATTRIBUTE_LENGTH_MAX } from "../../engine/campaign/attribute-value.ts";
import { compileMapping } from "../../engine/campaign/mapping.ts";
import type { Mapping, PayloadFault } from "../../engine/campaign/mapping.ts";
import { ORDER_ATTRIBUTES } from "./campaign-fixture.ts";

const PHONE: AttributeDefinition = { path: "phone", type: "phone", defaultRegion: "US" };

function mappingOf(attributes: TriggerDefinition["attributes"], more: Partial<TriggerDefinition> = {}): Mapping {
  const compiled = compileMapping({ auth: { type: "apiKey" }, attributes, ...more }, new Set());
  if (compiled.kind === "refused") assert.fail(JSON.stringify(compiled.faults));
  return compiled.mapping;
}

function refusals(attributes: TriggerDefinition["attributes"], more: Partial<TriggerDefinition> = {}): string[] {
  const compiled = compileMapping({ auth: { type: "apiKey" }, attributes, ...more }, new Set());
  return compiled.kind === "refused" ? compiled.faults.map(({ path, message }) => `${path}: ${message}`) : [];
}

/** The value that a payload `{ v: raw }` gives an attribute of this definition, or its fault's code. */
function valueOf(definition: Omit<AttributeDefinition, "path">, raw: unknown): unknown {
  const mapping = mappingOf({ phoneNumber: PHONE, value: { path: "v", ...definition } });
  const extraction = mapping.extract({ phone: "+12125550142", v: raw });
  return extraction.kind === "valid" ? extraction.attributes["value"] : `fault ${extraction.faults[0]?.code}`;
}

function faultsIn(mapping: Mapping, payload: unknown): readonly PayloadFault[] {
  const extraction = mapping.extract(payload);
  return extraction.kind === "invalid" ? extraction.faults : [];
}

test("extracts the contact of an order", () => {
  const extraction = mappingOf(ORDER_ATTRIBUTES).extract({
    phone: null,
    name: "#1001",
    total_price: "67.80",
    customer: { first_name: "Zoë", phone: "" },
    shipping_address: { phone: "020 7946 0958", country_code: "GB" },
  });
  assert.deepEqual(extraction, {
    kind: "valid",
    phoneNumber: "+442079460958",
    attributes: { firstName: "Zoë", orderName: "#1001", total: "67.80" },
  });
});

test("takes the first path that holds a valid number, past unusable ones", () => {
  const mapping = mappingOf(ORDER_ATTRIBUTES);
  const extraction = mapping.extract({
    name: "#1",
    phone: "555-555-SHIP",
    customer: { phone: "+12125550142" },
  });
  assert.equal(extraction.kind === "valid" && extraction.phoneNumber, "+12125550142");
});

test("reports the first number that was there when none is valid", () => {
  const mapping = mappingOf(ORDER_ATTRIBUTES);
  assert.deepEqual(
    faultsIn(mapping, {
      name: "#1",
      customer: { phone: "555-555-SHIP" },
      shipping_address: { phone: "911" },
    }),
    [
      {
        pointer: "/customer/phone",
        attribute: "phoneNumber",
        code: "invalid_phone_number",
        message: "phoneNumber cannot be read as one phone number",
      },
    ],
  );
});

test("reports all faults at once, each with its code and pointer", () => {
  const mapping = mappingOf({
    phoneNumber: PHONE,
    name: { path: ["order.name", "name"], type: "string", required: true },
    count: { path: "lines[0].count", type: "integer" },
    mail: { path: "mail", type: "email" },
    note: { path: "note", type: "string", maxLength: 5 },
  });
  const faults = faultsIn(mapping, {
    lines: [{ count: "many" }],
    mail: "nobody",
    note: "too long",
  });
  assert.deepEqual(
    faults.map(({ attribute, code, pointer }) => [attribute, code, pointer]),
    [
      ["phoneNumber", "required", "/phone"],
      ["name", "required", "/order/name"],
      ["count", "wrong_type", "/lines/0/count"],
      ["mail", "invalid_format", "/mail"],
      ["note", "too_long", "/note"],
    ],
  );
  for (const { message } of faults) assert.ok(!/nobody|many|too long"/.test(message), message);
});

test("takes absent, null and blank for the same, and then the default", () => {
  for (const raw of [undefined, null, "", "  ", "\n", [], "&nbsp;"]) {
    assert.equal(valueOf({ type: "string", default: "there" }, raw), "there", JSON.stringify(raw));
    assert.equal(valueOf({ type: "string" }, raw), undefined);
    assert.equal(valueOf({ type: "string", required: true }, raw), "fault required");
  }
  assert.equal(valueOf({ type: "number", default: 5 }, ""), 5);
  assert.equal(valueOf({ type: "boolean", default: false }, null), false);
});

test("reads text: trimmed, entities decoded once, scalars as text", () => {
  assert.equal(
    valueOf({ type: "string" }, "  Lumaflex&trade; Body &ndash; Red &amp; &lt;b&gt; &amp;lt; &#8364;5 &#x1F600; "),
    "Lumaflex™ Body – Red & <b> &lt; €5 😀",
  );
  assert.equal(valueOf({ type: "string" }, "AT&T &unknown; &#0; &#xD800;"), "AT&T &unknown; &#0; &#xD800;");
  assert.equal(valueOf({ type: "string" }, 67.8), "67.8");
  assert.equal(valueOf({ type: "string" }, 0), "0");
  assert.equal(valueOf({ type: "string" }, false), "false");
  assert.equal(valueOf({ type: "string" }, "820982911946154508"), "820982911946154508");
  assert.equal(valueOf({ type: "string" }, { a: 1 }), "fault wrong_type");
  assert.equal(valueOf({ type: "string" }, ["a"]), "fault wrong_type");
});

test("reads numbers, also as text, and keeps every digit of big integers", () => {
  assert.equal(valueOf({ type: "number" }, "67.8400"), 67.84);
  assert.equal(valueOf({ type: "number" }, " -5 "), -5);
  assert.equal(valueOf({ type: "number" }, "1e3"), 1000);
  assert.equal(valueOf({ type: "number" }, "820982911946154508"), "820982911946154508");
  for (const raw of ["1,000", "five", "0x10", "1-2", "NaN", true, {}, "Infinity", Number.POSITIVE_INFINITY]) {
    assert.equal(valueOf({ type: "number" }, raw), "fault wrong_type", JSON.stringify(raw));
  }
});

test("reads whole numbers, also as text", () => {
  assert.equal(valueOf({ type: "integer" }, "27"), 27);
  assert.equal(valueOf({ type: "integer" }, "007"), 7);
  assert.equal(valueOf({ type: "integer" }, "2.00"), 2);
  assert.equal(valueOf({ type: "integer" }, "-0"), 0);
  assert.equal(valueOf({ type: "integer" }, "-9007199254740993"), "-9007199254740993");
  assert.equal(valueOf({ type: "integer" }, 1e20), "100000000000000000000");
  for (const raw of [1.5, "1.5", "", "1e3", false, "12a"]) {
    const expected = raw === "" ? undefined : "fault wrong_type";
    assert.equal(valueOf({ type: "integer" }, raw), expected, JSON.stringify(raw));
  }
});

test("reads yes and no as forms and APIs write them", () => {
  for (const raw of [true, "true", "TRUE", "1", 1, "yes", "on"]) assert.equal(valueOf({ type: "boolean" }, raw), true);
  for (const raw of [false, "false", "0", 0, "no", "Off"]) assert.equal(valueOf({ type: "boolean" }, raw), false);
  for (const raw of [2, "maybe", {}]) assert.equal(valueOf({ type: "boolean" }, raw), "fault wrong_type");
});

test("reads dates as shops write them", () => {
  const kept = [
    "2026-11-23",
    "2021-12-31T19:00:00-05:00",
    "2017-03-22T16:28:02",
    "2025-01-08T10:12:07.672717030Z",
    "2024-01-01 10:00:00",
  ];
  for (const raw of kept) assert.equal(valueOf({ type: "date" }, raw), raw);
  assert.equal(valueOf({ type: "date" }, "Tue, 05 Mar 2019 21:40:11 +0000"), "2019-03-05T21:40:11.000Z");
  assert.equal(valueOf({ type: "date" }, 1_692_787_781), "2023-08-23T10:49:41.000Z");
  assert.equal(valueOf({ type: "date" }, 1_692_787_781_000), "2023-08-23T10:49:41.000Z");
  for (const raw of ["tomorrow", "2026-02-30", "2026-13-01", "23.11.2026", "2026-11-23T25:00:00"]) {
    assert.equal(valueOf({ type: "date" }, raw), "fault invalid_format", raw);
  }
  assert.equal(valueOf({ type: "date" }, {}), "fault wrong_type");
});

test("checks e-mail addresses and URLs", () => {
  assert.equal(valueOf({ type: "email" }, "jon@example.com"), "jon@example.com");
  assert.equal(valueOf({ type: "email" }, "jon@"), "fault invalid_format");
  assert.equal(valueOf({ type: "url" }, "https://shop.example.com/a?b=1"), "https://shop.example.com/a?b=1");
  for (const raw of ["shop.example.com", "javascript:alert(1)", "ftp://x.example", "https://", "https://a b"]) {
    assert.equal(valueOf({ type: "url" }, raw), "fault invalid_format", raw);
  }
});

test("reads further phone attributes like the recipient's", () => {
  const definition = { type: "phone", defaultRegion: "US" } as const;
  assert.equal(valueOf(definition, "(212) 555-0142"), "+12125550142");
  assert.equal(valueOf(definition, 12125550142), "+12125550142");
  assert.equal(valueOf(definition, "555-555-SHIP"), "fault invalid_phone_number");
  assert.equal(valueOf(definition, { number: "1" }), "fault wrong_type");
  assert.equal(valueOf(definition, 1.5), "fault wrong_type");
  assert.equal(valueOf(definition, ""), undefined);
  assert.equal(valueOf({ ...definition, default: "+12125550143" }, ""), "+12125550143");
});

test("the payload's region goes before the default, also when nobody can read it", () => {
  const mapping = mappingOf({ phoneNumber: { ...PHONE, regionPath: "country" } });
  const phoneIn = (country: unknown): string => {
    const extraction = mapping.extract({ phone: "020 7946 0958", country });
    return extraction.kind === "valid" ? extraction.phoneNumber : (extraction.faults[0]?.message ?? "");
  };
  assert.equal(phoneIn("GB"), "+442079460958");
  assert.equal(phoneIn("United Kingdom"), "+442079460958");
  assert.match(phoneIn(""), /phoneNumber/);
  assert.match(phoneIn("Atlantis"), /no region is known/);
  assert.equal(faultsIn(mapping, { phone: "+442079460958", country: "Atlantis" }).length, 0);
});

test("holds text to its length, by characters", () => {
  assert.equal(valueOf({ type: "string", maxLength: 3 }, "😀😀😀"), "😀😀😀");
  assert.equal(valueOf({ type: "string", maxLength: 3 }, "abcd"), "fault too_long");
  assert.equal(valueOf({ type: "string" }, "a".repeat(ATTRIBUTE_LENGTH_MAX))?.toString().length, ATTRIBUTE_LENGTH_MAX);
  assert.equal(valueOf({ type: "string" }, "a".repeat(ATTRIBUTE_LENGTH_MAX + 1)), "fault too_long");
});

test("filters events by `when`, whatever type the value comes in", () => {
  const mapping = mappingOf({ phoneNumber: PHONE }, { when: { path: ["status", "state"], in: ["paid", 2, true] } });
  for (const payload of [
    { status: "paid" },
    { state: "paid" },
    { status: "2" },
    { status: 2 },
    { status: true },
    { status: ["new", "paid"] },
  ]) {
    assert.ok(mapping.matches(payload), JSON.stringify(payload));
  }
  for (const payload of [
    {},
    { status: "Paid" },
    { status: null },
    { status: { paid: 1 } },
    { status: "new", state: "paid" },
  ]) {
    assert.ok(!mapping.matches(payload), JSON.stringify(payload));
  }
  assert.ok(mappingOf({ phoneNumber: PHONE }).matches({}));
});

test("reads the value that tells duplicates", () => {
  const mapping = mappingOf({ phoneNumber: PHONE }, { dedupe: { path: "order.id" } });
  assert.equal(mapping.dedupeValue({ order: { id: "820982911946154508" } }), "820982911946154508");
  assert.equal(mapping.dedupeValue({ order: { id: 5 } }), "5");
  for (const payload of [{}, { order: { id: "" } }, { order: { id: {} } }])
    assert.equal(mapping.dedupeValue(payload), undefined);
  assert.equal(mappingOf({ phoneNumber: PHONE }, { dedupe: { header: "x-id" } }).dedupeValue({ id: 1 }), undefined);
});

test("requires what the template needs, whatever the definition says", () => {
  const trigger = {
    auth: { type: "apiKey" },
    attributes: { phoneNumber: PHONE, total: { path: "total", type: "string" } },
  } as const;
  const compiled = compileMapping(trigger, new Set(["total"]));
  assert.ok(compiled.kind === "compiled");
  assert.deepEqual(
    faultsIn(compiled.mapping, { phone: "+12125550142" }).map(({ code }) => code),
    ["required"],
  );
});

test("refuses definitions that cannot work, with all reasons", () => {
  assert.deepEqual(refusals({}), [
    "trigger.attributes.phoneNumber: is missing: it says which number the message goes to",
  ]);
  const found = refusals(
    {
      phoneNumber: { path: "phone", type: "string", default: "x" },
      "odd name": { path: "a", type: "string" },
      constructor: { path: "a", type: "string" as const },
      broken: { path: ["a..b"], type: "string" },
      none: { path: [], type: "string" },
      region: { path: "a", type: "phone", defaultRegion: "Atlantis" },
      count: { path: "a", type: "integer", default: "many" },
      text: { path: "a", type: "string", regionPath: "b" },
    },
    { when: { path: "", in: [] }, dedupe: { path: "[" } },
  );
  for (const expected of [
    /^trigger\.attributes\.phoneNumber\.type: must be phone/,
    /^trigger\.attributes\.odd name: is no usable name/,
    /^trigger\.attributes\.constructor: is no usable name/,
    /^trigger\.attributes\.broken\.path: path "a\.\.b"/,
    /^trigger\.attributes\.none\.path: names no path/,
    /^trigger\.attributes\.region\.defaultRegion: "Atlantis"/,
    /^trigger\.attributes\.count\.default: "many" is no integer/,
    /^trigger\.attributes\.text: has a region/,
    /^trigger\.when\.path/,
    /^trigger\.dedupe\.path/,
  ]) {
    assert.ok(
      found.some((line) => expected.test(line)),
      `${expected.source} not in\n${found.join("\n")}`,
    );
  }
  assert.match(refusals({ phoneNumber: { ...PHONE, default: "+12125550142" } }).join(), /to one person/);
});

test("reads own properties only", () => {
  const mapping = mappingOf({
    phoneNumber: PHONE,
    name: { path: "toString.name", type: "string" },
    size: { path: "list.length", type: "integer" },
  });
  const extraction = mapping.extract({ phone: "+12125550142", list: [1, 2] });
  assert.deepEqual(extraction, { kind: "valid", phoneNumber: "+12125550142", attributes: {} });
});

test("any JSON gets an extraction of declared types, or faults", () => {
  const types: readonly AttributeType[] = ["string", "number", "integer", "boolean", "date", "email", "url", "phone"];
  const definition = Object.fromEntries(
    types.map((type): [string, AttributeDefinition] => [type, { path: type, type }]),
  );
  const mapping = mappingOf({ phoneNumber: PHONE, ...definition });
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom("phone", ...Object.keys(definition)), fc.jsonValue()), (payload) => {
      const extraction = mapping.extract({ ...payload, phone: "+12125550142" });
      if (extraction.kind === "invalid") return assert.ok(extraction.faults.length > 0);
      for (const value of Object.values(extraction.attributes))
        assert.ok(["string", "number", "boolean"].includes(typeof value));
    }),
  );
});

test("text made to hurt costs no more than text of its length", () => {
  const hurting = [
    "1".repeat(2_000_000) + "x",
    "0".repeat(2_000_000) + "x",
    `x${" ".repeat(2_000_000)}x`,
    "&".repeat(2_000_000),
    "a@" + "a-".repeat(1_000_000),
  ];
  const types: readonly AttributeType[] = ["string", "number", "integer", "boolean", "date", "email", "url", "phone"];
  const startedMs = performance.now();
  for (const raw of hurting) {
    for (const type of types) assert.match(String(valueOf({ type }, raw)), /^fault /);
  }
  // Quadratic work on 2 MB would take hours; this leaves a busy machine all the time it wants.
  assert.ok(performance.now() - startedMs < 10_000);
});
