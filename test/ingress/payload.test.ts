import assert from "node:assert/strict";
import { test } from "node:test";

import * as fc from "fast-check";
import { parse as parseLossless, isInteger as isIntegerText } from "lossless-json";

import { quoteBigIntegers } from "../../engine/ingress/big-integers.ts";
import { findJsonFault } from "../../engine/ingress/json-fault.ts";
import { isWooCommercePing, parsePayload, type ParsedPayload } from "../../engine/ingress/payload.ts";

interface Options {
  readonly type?: string | undefined;
  readonly encoding?: string;
  readonly isLenient?: boolean;
}

function parse(body: string | Buffer, options: Options = {}): ParsedPayload {
  return parsePayload({
    contentType: "type" in options ? options.type : "application/json",
    contentEncoding: options.encoding,
    body: typeof body === "string" ? Buffer.from(body) : body,
    isLenient: options.isLenient ?? false,
  });
}

const FORM = "application/x-www-form-urlencoded";
const one = (payload: unknown): unknown => ({ kind: "one", payload });
const nested = (levels: number): string => '{"a":'.repeat(levels - 1) + "{}" + "}".repeat(levels - 1);

test("reads an object and an array of objects", () => {
  assert.deepEqual(parse('{"a":{"b":[1,"x",null,true]}}'), one({ a: { b: [1, "x", null, true] } }));
  assert.deepEqual(parse('[{"a":1},5,{"b":2},[]]'), { kind: "many", payloads: [{ a: 1 }, null, { b: 2 }, null] });
});

test("takes every way of saying JSON in UTF-8, and 415 for the rest", () => {
  for (const type of [
    "application/json; charset=utf-8",
    "Application/JSON;charset=UTF-8",
    'application/json; charset="utf8"',
    "application/cloudevents+json",
    "application/vnd.api+json; x=y",
  ]) {
    assert.equal(parse("{}", { type }).kind, "one", type);
  }
  for (const type of [
    undefined,
    "",
    "text/plain",
    "application/xml",
    "application/json; charset=latin1",
    "text/json",
    "multipart/form-data; boundary=x",
    "application/jsonp",
  ]) {
    assert.equal(parse("{}", { type }).kind, "unsupported", type);
  }
  assert.equal(parse("{}", { encoding: "gzip" }).kind, "unsupported");
  assert.equal(parse("{}", { encoding: "identity" }).kind, "one");
});

test("the lenient reading takes JSON under any name", () => {
  for (const type of [undefined, "text/plain", "application/json; charset=latin1"]) {
    assert.equal(parse("{}", { type, isLenient: true }).kind, "one", type);
  }
});

test("skips a leading byte-order mark, and only a leading one", () => {
  assert.deepEqual(parse('\ufeff{"a":1}'), one({ a: 1 }));
  assert.equal(parse('\ufeff\ufeff{"a":1}').kind, "malformed");
  assert.deepEqual(parse('{"a":"\ufeff"}'), one({ a: "\ufeff" }));
  assert.deepEqual(parse("\ufeffa=1", { type: FORM }), one({ a: "1" }));
});

test("keeps every digit of integers beyond 2^53", () => {
  const text = '{"id":820982911946154508,"list":[-9007199254740993, 9007199254740991],"s":"820982911946154508"}';
  assert.deepEqual(
    parse(text),
    one({ id: "820982911946154508", list: ["-9007199254740993", 9007199254740991], s: "820982911946154508" }),
  );
});

test("leaves fractions, exponents, names and strings with long runs of digits alone", () => {
  const text =
    '{"12345678901234567890":1,"f":0.12345678901234567890,"e":1e0000000000000000001,"q":"\\"12345678901234567890\\\\"}';
  assert.deepEqual(parse(text), one(JSON.parse(text)));
});

test("never makes JSON of what is none", () => {
  const bad = [
    "{12345678901234567890:1}",
    '{"a":1, 12345678901234567890 :1}',
    "[012345678901234567890]",
    "[1 12345678901234567890]",
    "[+12345678901234567890]",
    "[--12345678901234567890]",
    "[.12345678901234567890]",
    '["12345678901234567890]',
  ];
  for (const text of bad) assert.equal(parse(text).kind, "malformed", text);
});

function exactNumber(text: string): unknown {
  const isBig = isIntegerText(text) && !/[eE]/.test(text) && !Number.isSafeInteger(Number(text));
  return isBig ? text : Number(text);
}

test("agrees with lossless-json on every document with big integers", () => {
  const big = fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }).map((value) => `@${value}@`);
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { maxDepth: 4 },
      big,
      fc.string(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.array(tie("tree")),
      fc.dictionary(
        fc.string().filter((name) => name !== "__proto__"),
        tie("tree"),
      ),
    ),
  }));
  fc.assert(
    fc.property(tree, fc.constantFrom(undefined, 1), (value, indent) => {
      const text = JSON.stringify(value, null, indent).replaceAll(/"@(-?\d+)@"/g, "$1");
      assert.deepEqual(JSON.parse(quoteBigIntegers(text)), parseLossless(text, undefined, exactNumber));
    }),
  );
});

test("says where JSON breaks, without quoting the payload", () => {
  const cases: [string, string][] = [
    ['{"phone":\n "+1555", secret}', "line 2, column 11: expected a property name in double quotes"],
    ['{"a":1', "line 1, column 7: the text ends where a comma or } was expected"],
    ["", "line 1, column 1: the text ends where a value was expected"],
    ['{"a":"x\ny"}', "line 1, column 8: control characters must be escaped"],
    ['{"a":01}', "line 1, column 7: expected a comma or }"],
    ["[1,2,,]", "line 1, column 6: expected a value"],
    ['{"a":1} x', "line 1, column 9: nothing may follow the value"],
    ['["\\x"]', "line 1, column 3: this escape sequence is not one of JSON"],
    ["{'a':1}", "line 1, column 2: expected a property name in double quotes"],
    ['{"a" 1}', "line 1, column 6: expected a colon"],
    ["NaN", "line 1, column 1: expected a value"],
  ];
  for (const [text, place] of cases)
    assert.deepEqual(parse(text), { kind: "malformed", detail: `The body is not JSON: ${place}.` });
});

test("finds a fault exactly when JSON.parse does, in mutated documents", () => {
  const mutated = fc.tuple(
    fc.json(),
    fc.nat(),
    fc.constantFrom("", "{", "}", "[", "]", ",", ":", '"', "\\", "0", "-", "e", ".", "t", "\n", "\u0001"),
    fc.nat(2),
  );
  fc.assert(
    fc.property(mutated, ([json, position, insert, removed]) => {
      const at = position % (json.length + 1);
      const text = json.slice(0, at) + insert + json.slice(at + removed);
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      assert.equal(findJsonFault(text) === null, isJson, text);
    }),
    { numRuns: 2000 },
  );
});

test("finds the fault behind megabytes of anything", () => {
  const long = 2_000_000;
  for (const text of [
    `["${"a".repeat(long)}`,
    `[${"1".repeat(long)}x`,
    `${"[".repeat(long)}x`,
    `${" ".repeat(long)}x`,
    `["${String.raw`\n`.repeat(long / 2)}\\x`,
    "[1,".repeat(long / 3),
  ]) {
    assert.ok((findJsonFault(text)?.column ?? 0) > long / 3);
  }
});

test("says which byte is not UTF-8", () => {
  const body = Buffer.concat([Buffer.from('{"a":"é'), Buffer.from([0xff]), Buffer.from('"}')]);
  assert.deepEqual(parse(body), { kind: "malformed", detail: "The body is not UTF-8: byte 8 begins no character." });
  assert.equal(parse(Buffer.from([0xe2, 0x82])).kind, "malformed");
  assert.equal(parse(Buffer.from("a=%FF\xff", "latin1"), { type: FORM }).kind, "malformed");
});

test("nests at most 32 levels, in an array of events as alone", () => {
  assert.equal(parse(nested(32)).kind, "one");
  assert.equal(parse(`[${nested(32)}]`).kind, "many");
  assert.deepEqual(parse(nested(33)), {
    kind: "invalid",
    code: "too_long",
    message: "The body nests deeper than 32 levels.",
  });
  assert.equal(parse(`[${nested(33)}]`).kind, "invalid");
  assert.equal(parse("[".repeat(100_000) + "]".repeat(100_000)).kind, "invalid");
});

test("an array holds 1 to 1,000 events", () => {
  assert.equal(parse(`[${"{},".repeat(999)}{}]`).kind, "many");
  const tooLong = parse(`[${"{},".repeat(1000)}{}]`);
  assert.deepEqual([tooLong.kind, tooLong.kind === "invalid" && tooLong.code], ["invalid", "too_long"]);
  const empty = parse("[]");
  assert.deepEqual([empty.kind, empty.kind === "invalid" && empty.code], ["invalid", "required"]);
});

test("anything but an object or an array is no event", () => {
  for (const text of ["5", '"x"', "null", "true"]) {
    const parsed = parse(text);
    assert.equal(parsed.kind === "invalid" && parsed.code, "wrong_type", text);
  }
});

test("of duplicate keys the last wins, and __proto__ is a property like any other", () => {
  assert.deepEqual(parse('{"a":1,"a":2}'), one({ a: 2 }));
  for (const parsed of [parse('{"__proto__":{"phone":"+1"}}'), parse("__proto__=x", { type: FORM })]) {
    assert.ok(parsed.kind === "one");
    assert.ok(Object.hasOwn(parsed.payload, "__proto__"));
    assert.equal(Object.getPrototypeOf(parsed.payload), Object.prototype);
    assert.equal(parsed.payload["phone"], undefined);
  }
});

test("reads a form as one object of strings", () => {
  assert.deepEqual(
    parse("phone=%2B1555&name=Ann+Lee&empty=&a=1&a=2", { type: `${FORM}; charset=UTF-8` }),
    one({ phone: "+1555", name: "Ann Lee", empty: "", a: "2" }),
  );
  assert.deepEqual(parse("", { type: FORM }), one({}));
});

test("tells who sends JSON as a form what to change", () => {
  const parsed = parse('{"phone":"+1"}', { type: FORM });
  assert.match(parsed.kind === "unsupported" ? parsed.detail : "", /Content-Type: application\/json/);
});

test("a form has a bounded number of fields", () => {
  assert.equal(parse("a=1&".repeat(999), { type: FORM }).kind, "one");
  assert.equal(parse("a=1&".repeat(1000), { type: FORM }).kind, "invalid");
});

test("knows WooCommerce's ping and nothing that is more", () => {
  assert.equal(isWooCommercePing(FORM, Buffer.from("webhook_id=12")), true);
  assert.equal(isWooCommercePing("application/json", Buffer.from("webhook_id=12")), false);
  for (const body of ["webhook_id=", "webhook_id=12&phone=1", "webhook_id=x", "id=12", ""]) {
    assert.equal(isWooCommercePing(FORM, Buffer.from(body)), false, body);
  }
});

test("never throws, whatever the bytes", () => {
  const type = fc.constantFrom("application/json", FORM, undefined);
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      type,
      (bytes, contentType) => void parse(Buffer.from(bytes), { type: contentType }),
    ),
  );
});
