import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import * as fc from "fast-check";

import type { ConsentKind, ConsentSignal } from "../../engine/message/consent-signal.ts";
import { encodeMessageId } from "../../engine/message/ids.ts";
import type { StatusUpdate } from "../../engine/message/status-update.ts";
import { parseNotification } from "../../engine/whatsapp/notification.ts";
import type { Notification } from "../../engine/whatsapp/notification.ts";

const SAMPLES = "../shared/samples/whatsapp";
const ACCEPTED_AT_MS = 1_795_000_000_123;
const MESSAGE_ID = encodeMessageId({
  partition: 3,
  campaignNumber: 7,
  acceptedAtMs: ACCEPTED_AT_MS,
  node: 0,
  sequence: 42,
});

const WORDS: ReadonlyMap<string, ConsentKind> = new Map([
  ["STOP", "stop"],
  ["Unsubscribe", "stop"],
  ["START", "resume"],
]);
const wordOf = (words: string): ConsentKind | null => WORDS.get(words.trim()) ?? null;

function parse(text: string): Notification {
  const parsed = parseNotification(text, wordOf);
  assert.ok(!("kind" in parsed), "malformed");
  return parsed;
}

function webhook(value: unknown, field = "messages"): string {
  return JSON.stringify({
    object: "whatsapp_business_account",
    entry: [{ id: "1", changes: [{ value, field }] }],
  });
}

function status(fields: Readonly<Record<string, unknown>> = {}): object {
  return {
    id: "wamid.X",
    status: "delivered",
    timestamp: "1795000001",
    recipient_id: "16505551234",
    biz_opaque_callback_data: MESSAGE_ID,
    ...fields,
  };
}

function updatesOf(...statuses: readonly unknown[]): readonly StatusUpdate[] {
  return parse(webhook({ messaging_product: "whatsapp", statuses })).updates;
}

function updateOf(fields: Readonly<Record<string, unknown>>): StatusUpdate {
  const [update] = updatesOf(status(fields));
  assert.ok(update);
  return update;
}

test("a status of ours becomes an update", () => {
  const pricing = { billable: true, pricing_model: "PMP", type: "regular", category: "utility" };
  assert.deepEqual(updateOf({ pricing }), {
    messageId: MESSAGE_ID,
    attempt: 1,
    status: "delivered",
    wamid: "wamid.X",
    atMs: 1_795_000_001_000,
    errorCode: null,
    errorReason: "",
    pricingCategory: "utility",
  });
});

test("a status names the attempt it speaks of", () => {
  assert.equal(updateOf({ biz_opaque_callback_data: `${MESSAGE_ID}.2` }).attempt, 2);
});

test("statuses of other programs, of ids that are nearly ours and of unknown kinds are counted, not taken", () => {
  const foreign = [
    "",
    "some data",
    MESSAGE_ID.slice(1),
    `${MESSAGE_ID}.0`,
    `${MESSAGE_ID}.x`,
    `${MESSAGE_ID}x`,
    `zz${MESSAGE_ID.slice(2)}`,
  ];
  const statuses = [
    ...foreign.map((data) => status({ biz_opaque_callback_data: data })),
    status({ biz_opaque_callback_data: undefined }),
    status({ biz_opaque_callback_data: 7 }),
    status({ status: "deleted" }),
    status({ status: undefined }),
    null,
    "sent",
  ];
  const parsed = parse(webhook({ statuses: [...statuses, status()] }));
  assert.equal(parsed.updates.length, 1);
  assert.equal(parsed.unmatched, statuses.length);
});

test("a played voice message was read", () => {
  assert.equal(updateOf({ status: "played" }).status, "read");
});

test("a failure carries its code and a plain sentence, whether the code is a number or text", () => {
  for (const code of [131_049, "131049"]) {
    const update = updateOf({
      status: "failed",
      errors: [{ code, title: "Not delivered", error_data: { details: "d" } }],
    });
    assert.equal(update.errorCode, 131_049);
    assert.match(update.errorReason, /^WhatsApp chose not to deliver this marketing message/);
  }
  const unknown = updateOf({
    status: "failed",
    errors: [{ code: 1, title: "t" }, { code: 131_026 }],
  });
  assert.equal(unknown.errorCode, 1);
  for (const errors of [undefined, [], [null], [{}], "broken"]) {
    const update = updateOf({ status: "failed", errors });
    assert.equal(update.errorCode, null);
    assert.equal(update.errorReason, "WhatsApp could not deliver the message and does not say why.");
  }
});

test("errors beside a delivery are not a failure", () => {
  const update = updateOf({ status: "delivered", errors: [{ code: 131_026 }] });
  assert.deepEqual([update.status, update.errorCode, update.errorReason], ["delivered", null, ""]);
});

test("a time is read from text or number, and an unusable one counts from the acceptance", () => {
  assert.equal(updateOf({ timestamp: 1_795_000_009 }).atMs, 1_795_000_009_000);
  for (const timestamp of [undefined, null, "", "soon", "-5", 0, 1.5, "99999999999999", "1e9"]) {
    assert.equal(updateOf({ timestamp }).atMs, ACCEPTED_AT_MS, String(timestamp));
  }
});

test("a thousand statuses in many entries and changes keep their order", () => {
  const changes = Array.from({ length: 10 }, (_, change) => ({
    field: "messages",
    value: {
      statuses: Array.from({ length: 10 }, (__, index) => status({ timestamp: 1000 + change * 10 + index })),
    },
  }));
  const entry = Array.from({ length: 10 }, () => ({ id: "1", changes }));
  const { updates, notifications } = parse(JSON.stringify({ object: "whatsapp_business_account", entry }));
  assert.equal(updates.length, 1000);
  assert.deepEqual(notifications, []);
  assert.deepEqual(
    updates.slice(0, 100).map((update) => update.atMs / 1000),
    Array.from({ length: 100 }, (_, index) => 1000 + index),
  );
});

test("whatever is not a status is handed on, also beside statuses", () => {
  const inbound = { messages: [{ from: "1", type: "text", text: { body: "STOP" } }] };
  assert.deepEqual(parse(webhook(inbound)).notifications, [{ field: "messages", value: inbound, accountId: "1" }]);
  const both = { statuses: [status()], errors: [{ code: 130_429 }] };
  const parsed = parse(webhook(both));
  assert.equal(parsed.updates.length, 1);
  assert.equal(parsed.notifications.length, 1);
});

function consentsOf(value: unknown, field = "messages"): readonly ConsentSignal[] {
  return parse(webhook(value, field)).consents;
}

const SAID = { messageId: null, userId: "", waId: "16505551234", atMs: 1_795_000_001_000 };

function said(message: object): object {
  return { messages: [{ from: "16505551234", timestamp: "1795000001", ...message }] };
}

test("a typed stop word is an opt-out, any other text is not", () => {
  const stop = said({ type: "text", text: { body: " STOP " } });
  assert.deepEqual(consentsOf(stop), [{ ...SAID, kind: "stop", source: "text", words: "STOP" }]);
  const start = said({ type: "text", text: { body: "START" } });
  assert.deepEqual(consentsOf(start), [{ ...SAID, kind: "resume", source: "text", words: "START" }]);
  assert.deepEqual(consentsOf(said({ type: "text", text: { body: "Does it come in blue?" } })), []);
  assert.equal(parse(webhook(stop)).notifications.length, 1, "it is handed on as well");
});

test("a button counts by what it shows and by its payload", () => {
  const signal = { ...SAID, kind: "stop", source: "button" };
  const byText = said({ type: "button", button: { payload: "p1", text: "Unsubscribe" } });
  assert.deepEqual(consentsOf(byText), [{ ...signal, words: "Unsubscribe" }]);
  const byPayload = said({ type: "button", button: { payload: "STOP", text: "Genug davon" } });
  assert.deepEqual(consentsOf(byPayload), [{ ...signal, words: "STOP" }]);
  const interactive = { type: "button_reply", button_reply: { id: "x", title: "Unsubscribe" } };
  assert.deepEqual(consentsOf(said({ type: "interactive", interactive })), [{ ...signal, words: "Unsubscribe" }]);
  const list = { type: "list_reply", list_reply: { id: "STOP", title: "No more" } };
  assert.deepEqual(consentsOf(said({ type: "interactive", interactive: list })), [{ ...signal, words: "STOP" }]);
});

function preference(fields: Readonly<Record<string, unknown>>): object {
  const told = { wa_id: "16505551234", category: "marketing_messages", value: "stop", timestamp: 1_795_000_001 };
  return { user_preferences: [{ ...told, ...fields }] };
}

test("WhatsApp's own switch counts both ways, with its time as a number", () => {
  const signal = { ...SAID, source: "preference", words: "" };
  assert.deepEqual(consentsOf(preference({}), "user_preferences"), [{ ...signal, kind: "stop" }]);
  for (const value of ["resume", "signup"]) {
    assert.deepEqual(consentsOf(preference({ value }), "user_preferences"), [{ ...signal, kind: "resume" }]);
  }
  for (const odd of [{ category: "calls" }, { value: "later" }, { value: 7 }, { wa_id: "nobody" }]) {
    assert.deepEqual(consentsOf(preference(odd), "user_preferences"), [], JSON.stringify(odd));
  }
  const contacts = { ...preference({ wa_id: undefined }), contacts: [{ wa_id: "16505551234" }] };
  assert.deepEqual(consentsOf(contacts, "user_preferences"), [{ ...signal, kind: "stop" }]);
});

test("a person without a number is known by the user id", () => {
  const value = { messages: [{ from_user_id: "US.1349", timestamp: "1795000001", text: { body: "STOP" } }] };
  const signal = { ...SAID, waId: "", userId: "US.1349", kind: "stop", source: "text", words: "STOP" };
  assert.deepEqual(consentsOf(value), [signal]);
  const both = { contacts: [{ wa_id: "16505551234", user_id: "US.1349" }], ...said({ from_user_id: "US.1349" }) };
  assert.deepEqual(parse(webhook(both)).people, [{ waId: "16505551234", userId: "US.1349" }]);
  const told = status({ recipient_user_id: "US.7" });
  assert.deepEqual(parse(webhook({ statuses: [told] })).people, [{ waId: "16505551234", userId: "US.7" }]);
});

test("a send refused because its recipient stopped marketing is an opt-out, also of another program's message", () => {
  const errors = [{ code: 131_050, title: "stopped" }];
  const refused = status({ status: "failed", errors, recipient_id: undefined });
  const signal = { ...SAID, kind: "stop", source: "131050", words: "" };
  assert.deepEqual(consentsOf({ statuses: [refused] }), [{ ...signal, waId: "", messageId: MESSAGE_ID }]);
  const foreign = status({ status: "failed", errors, biz_opaque_callback_data: undefined });
  assert.deepEqual(consentsOf({ statuses: [foreign] }), [signal]);
  assert.deepEqual(consentsOf({ statuses: [status({ status: "delivered", errors })] }), []);
  assert.deepEqual(consentsOf({ statuses: [status({ status: "failed", errors: [{ code: 131_049 }] })] }), []);
});

test("a time that cannot be read is none", () => {
  for (const timestamp of [undefined, "soon", -1, 1.5, {}]) {
    assert.equal(consentsOf(preference({ timestamp }), "user_preferences")[0]?.atMs, 0, String(timestamp));
  }
});

test("a quality change is known by its keys, not by its field", () => {
  const value = {
    previous_quality_score: "GREEN",
    new_quality_score: "YELLOW",
    message_template_id: 806312974732579,
  };
  const [notification] = parse(webhook(value, "message_template_status_update")).notifications;
  assert.equal(notification?.field, "message_template_quality_update");
});

test("template ids beyond 2^53 keep every digit, smaller numbers stay numbers", () => {
  const text = webhook(
    { event: "APPROVED", message_template_id: 1, time: 1751247548 },
    "message_template_status_update",
  );
  const value = parse(text.replace('id":1,', 'id": 90071992547409931234,')).notifications[0]?.value;
  assert.deepEqual(value, {
    event: "APPROVED",
    message_template_id: "90071992547409931234",
    time: 1751247548,
  });
});

test("escaped non-ASCII, duplicate keys beside a big id and deep nesting are taken", () => {
  const big = '"message_template_id":90071992547409931';
  const escaped = webhook({ statuses: [status({ biz: "\u00e9 😀" })] }).replaceAll("é", "\\u00e9");
  assert.equal(parse(escaped).updates.length, 1);
  const duplicate = `{"entry":[{"changes":[{"field":"a","field":"b","value":{${big}}}]}]}`;
  assert.equal(parse(duplicate).notifications[0]?.field, "b");
  const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
  assert.equal(parse(`{"entry":[],${big},"deep":${deep}}`).updates.length, 0);
});

test("anything but an object with entries is malformed", () => {
  for (const text of [
    "",
    "{",
    "null",
    "[]",
    "7",
    '"x"',
    "{}",
    '{"entry":{}}',
    '{"entry":null}',
    "\u0000",
    '{"entry":[}',
  ]) {
    assert.deepEqual(parseNotification(text, wordOf), { kind: "malformed" }, text);
  }
});

test("no body of any shape throws", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), (text) => void parseNotification(text, wordOf)));
  fc.assert(fc.property(fc.jsonValue(), (value) => void parseNotification(webhook(value), wordOf)));
  const keys = fc.constantFrom(
    "messages",
    "from",
    "text",
    "body",
    "button",
    "user_preferences",
    "contacts",
    "statuses",
  );
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, fc.jsonValue({ maxDepth: 1 }), fc.constant("STOP"), tie("list"), tie("object")),
    list: fc.array(tie("value"), { maxLength: 3 }),
    object: fc.dictionary(keys, tie("value"), { maxKeys: 4 }),
  }));
  fc.assert(fc.property(value, (odd) => void parseNotification(webhook(odd), wordOf)));
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom("status", "timestamp", "errors", "pricing", "id"), fc.jsonValue()),
      (fields) => {
        for (const update of updatesOf(status(fields))) {
          assert.ok(update.atMs > 0 && !Number.isNaN(new Date(update.atMs).getTime()));
          assert.equal(typeof update.wamid, "string");
          assert.equal(typeof update.pricingCategory, "string");
        }
      },
    ),
  );
});

test(
  "takes all published samples, and each status of them once it carries our id",
  { skip: !existsSync(SAMPLES) },
  () => {
    const names = readdirSync(SAMPLES).filter((name) => /webhook/.test(name));
    assert.ok(names.length > 50);
    const consents = names.flatMap((name) => parse(readFileSync(join(SAMPLES, name), "utf8")).consents);
    assert.deepEqual(new Set(consents.map(({ source }) => source)), new Set(["button", "preference"]));
    for (const name of names) {
      const text = readFileSync(join(SAMPLES, name), "utf8");
      const foreign = parse(text);
      assert.equal(foreign.updates.length, 0, name);
      assert.ok(foreign.unmatched + foreign.notifications.length > 0, name);
      const ours = parse(
        text
          .replace(/"biz_opaque_callback_data": ".*",/, "")
          .replaceAll(/"recipient_(?:user_)?id":/g, `"biz_opaque_callback_data": "${MESSAGE_ID}", $&`),
      );
      if (!text.includes('"statuses"') || text.includes('"errors"')) continue;
      assert.equal(ours.updates.length, 1, name);
      assert.ok((ours.updates[0]?.atMs ?? 0) > 1_600_000_000_000, name);
    }
  },
);
