import assert from "node:assert/strict";
import { test } from "node:test";

import { checkCampaign } from "../../engine/runtime/campaign-definition.ts";

const PHONE = { path: "phone", type: "phone" };
const SMALLEST = {
  id: "hello",
  sender: "main",
  trigger: { attributes: { phoneNumber: PHONE } },
  template: { name: "hello", language: "en_US" },
};

function faultsOf(body: unknown): Record<string, string> {
  const result = checkCampaign(body);
  return result.kind === "valid" ? {} : Object.fromEntries(result.faults.map(({ path, message }) => [path, message]));
}

test("the smallest campaign gets its defaults, and waits to be activated", () => {
  assert.deepEqual(checkCampaign(SMALLEST), {
    kind: "valid",
    definition: {
      id: "hello",
      name: "hello",
      sender: "main",
      status: "paused",
      lane: "transactional",
      timeToLiveSeconds: 86_400,
      // oxlint-disable-next-line unicorn/no-thenable -- the configuration's own word
      uncertain: { waitSeconds: 600, then: "resend" },
      trigger: { auth: { type: "apiKey" }, attributes: { phoneNumber: PHONE } },
      template: { name: "hello", language: "en_US" },
    },
  });
});

test("a marketing message is not sent again in doubt, unless its campaign says so", () => {
  const cautious = checkCampaign({ ...SMALLEST, lane: "marketing", uncertain: { waitSeconds: 5 } });
  assert(cautious.kind === "valid");
  assert.equal(cautious.definition.uncertain.waitSeconds, 5);
  assert.equal(cautious.definition.uncertain.then, "fail");
  // oxlint-disable-next-line unicorn/no-thenable -- the configuration's own word
  const insisting = checkCampaign({ ...SMALLEST, lane: "marketing", uncertain: { then: "resend" } });
  assert(insisting.kind === "valid");
  assert.equal(insisting.definition.uncertain.waitSeconds, 600);
  assert.equal(insisting.definition.uncertain.then, "resend");
});

test("everything the contract shows is taken", () => {
  const bodies = [
    {
      trigger: {
        ...SMALLEST.trigger,
        auth: { type: "hmac", header: "X-Shopify-Hmac-Sha256", encoding: "base64", secrets: ["a", "b"] },
      },
    },
    { trigger: { ...SMALLEST.trigger, auth: { type: "urlToken" }, dedupe: { header: "X-Shopify-Webhook-Id" } } },
    { trigger: { ...SMALLEST.trigger, dedupe: { path: "id" }, when: { path: ["a", "b"], in: ["paid", 1, true] } } },
    {
      template: {
        ...SMALLEST.template,
        body: { first_name: "{{ firstName }}" },
        header: { image: "https://x.example/a.png" },
      },
    },
    {
      template: {
        ...SMALLEST.template,
        body: ["{{ a }}"],
        header: "{{ b }}",
        buttons: [{ index: 0, value: "{{ c }}" }],
      },
    },
    { status: "active", lane: "marketing", messagesPerSecond: 0.5, timeToLiveSeconds: 1 },
  ];
  for (const body of bodies) assert.deepEqual(faultsOf({ ...SMALLEST, ...body }), {});
});

test("all faults come at once, as dotted paths", () => {
  const body = {
    ...SMALLEST,
    id: "../x",
    timeToLiveSeconds: 0,
    trigger: {
      auth: { type: "hmac", header: "X", encoding: "base46", secrets: ["a", "b", "c"] },
      when: { path: "a" },
      attributes: { phoneNumber: { path: [], type: "phone", requird: true } },
    },
    template: { ...SMALLEST.template, buttons: [{ value: "x" }] },
  };
  assert.deepEqual(faultsOf(body), {
    id: 'expected at most 64 letters, digits, - and _, found "../x"',
    timeToLiveSeconds: "expected whole seconds, at least 1, found 0",
    "trigger.auth.encoding": 'expected base64 or hex, found "base46"; the nearest is "base64"',
    "trigger.auth.secrets": "expected a list of one secret, or of two while one is being replaced, at most 2, found 3",
    "trigger.when.in": "missing; expected a list of the values to let through",
    "trigger.attributes.phoneNumber.path": "expected a path such as customer.phone, or a list of them",
    "trigger.attributes.phoneNumber.requird": 'unknown key; the nearest known key is "required"',
    "template.buttons[0].index": "missing; expected the button's place in the template, counted from 0",
  });
});

test("a key of another kind of auth is unknown, and the nearest of this kind is named", () => {
  const auth = { type: "urlToken", tokn: "x" };
  assert.deepEqual(faultsOf({ ...SMALLEST, trigger: { ...SMALLEST.trigger, auth } }), {
    "trigger.auth.tokn": 'unknown key; the nearest known key is "token"',
  });
});

test("values that contradict each other are faults", () => {
  const attributes = {
    phoneNumber: { path: "phone", type: "string" },
    count: { path: "n", type: "integer", default: 1.5 },
    note: { path: "note", type: "string", defaultRegion: "US" },
  };
  const buttons = [
    { index: 1, value: "a" },
    { index: 1, value: "b" },
  ];
  const body = { ...SMALLEST, trigger: { attributes }, template: { ...SMALLEST.template, buttons } };
  assert.deepEqual(faultsOf(body), {
    "trigger.attributes.phoneNumber.type": 'expected phone, found "string"',
    "trigger.attributes.count.default": "expected a value of type integer, found 1.5",
    "trigger.attributes.note.defaultRegion": "only attributes of type phone have a region",
    "template.buttons[1].index": "expected each button once, found 1 again",
  });
});

function signedBy(secrets: unknown): unknown {
  const auth = { type: "hmac", header: "X", encoding: "hex", secrets };
  return { ...SMALLEST, trigger: { ...SMALLEST.trigger, auth } };
}

test("an hmac campaign needs a secret, and the fault does not repeat one", () => {
  assert.deepEqual(Object.keys(faultsOf(signedBy([]))), ["trigger.auth.secrets"]);
  assert.deepEqual(Object.keys(faultsOf(signedBy([""]))), ["trigger.auth.secrets[0]"]);
  assert.doesNotMatch(JSON.stringify(faultsOf(signedBy("hunter2"))), /hunter2/);
});

test("a reference to the environment is plain text in an API body", () => {
  const auth = { type: "hmac", header: "X", encoding: "hex", secrets: ["${HOME}"] };
  const checked = checkCampaign({ ...SMALLEST, trigger: { ...SMALLEST.trigger, auth } });
  assert(checked.kind === "valid" && checked.definition.trigger.auth.type === "hmac");
  assert.deepEqual(checked.definition.trigger.auth.secrets, ["${HOME}"]);
});

for (const body of [null, undefined, [], "x", 5, {}, { trigger: null }, { trigger: { attributes: [] } }]) {
  test(`${JSON.stringify(body)} is refused with reasons`, () => {
    const result = checkCampaign(body);
    assert(result.kind === "invalid");
    assert.ok(result.faults.length > 0);
  });
}

test("names of Object's own properties make no attribute and no campaign appear", () => {
  const body: unknown = JSON.parse(
    '{"__proto__":{"id":"x"},"id":"a","sender":"main","trigger":{"attributes":{"__proto__":{"path":"p","type":"phone"}}},"template":{"name":"a","language":"en"}}',
  );
  assert.deepEqual(Object.keys(faultsOf(body)).toSorted(), [
    "__proto__",
    "trigger.attributes.__proto__",
    "trigger.attributes.phoneNumber",
  ]);
});
