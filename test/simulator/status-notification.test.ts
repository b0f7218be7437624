import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";

import * as fc from "fast-check";

import {
  notificationBody,
  signBody,
  takenMessage,
  type SimulatedNumber,
  type StatusReport,
} from "../../engine/simulator/status-notification.ts";
import { valueAt } from "./fixtures.ts";
import { statusesIn } from "./http-subscriber.ts";

const number: SimulatedNumber = { phoneNumberId: "201", wabaId: "301", displayPhoneNumber: "15550000201" };
const other: SimulatedNumber = { phoneNumberId: "202", wabaId: "302", displayPhoneNumber: "15550000202" };

function report(
  fields: Partial<StatusReport> & {
    readonly number?: SimulatedNumber;
    readonly callbackData?: string;
    readonly apiVersion?: number;
    readonly isWithoutPhone?: boolean;
  } = {},
): StatusReport {
  const message = takenMessage({
    number: fields.number ?? number,
    wamid: "wamid.HBgLMTQ/QQ==",
    waId: "14155550100",
    callbackData: fields.callbackData ?? "message-1",
    category: "utility",
    apiVersion: fields.apiVersion ?? 26,
    isWithoutPhone: fields.isWithoutPhone ?? false,
  });
  return {
    message,
    status: "sent",
    atMs: 1_750_030_073_900,
    errorCode: null,
    hasOtherPrice: false,
    dueMonotonicMs: 0,
    ...fields,
  };
}

const written = (...reports: StatusReport[]): string => notificationBody(reports, 50).toString("latin1");

test("reports a status in the shape of a real capture", () => {
  const path = ["entry", 0, "changes", 0, "value", "contacts", 0, "user_id"];
  const userId = valueAt(JSON.parse(written(report())), ...path);
  assert.match(String(userId), /^US\.\d{16,}$/);
  assert.deepEqual(JSON.parse(written(report())), {
    object: "whatsapp_business_account",
    entry: [
      {
        id: "301",
        changes: [
          {
            value: {
              messaging_product: "whatsapp",
              metadata: { display_phone_number: "15550000201", phone_number_id: "201" },
              contacts: [{ wa_id: "14155550100", user_id: userId }],
              statuses: [
                {
                  id: "wamid.HBgLMTQ/QQ==",
                  status: "sent",
                  timestamp: "1750030073",
                  recipient_id: "14155550100",
                  recipient_user_id: userId,
                  biz_opaque_callback_data: "message-1",
                  pricing: { billable: true, pricing_model: "PMP", category: "utility", type: "regular" },
                },
              ],
            },
            field: "messages",
          },
        ],
      },
    ],
  });
});

test("a failed status carries its error, no price and no contact", () => {
  const text = written(report({ status: "failed", errorCode: 131_026 }));
  const [status] = statusesIn(text);
  assert.doesNotMatch(text, /contacts|pricing|recipient_user_id/);
  assert.deepEqual(status?.errors, [
    {
      code: 131026,
      title: "Message undeliverable",
      message: "Message undeliverable",
      error_data: { details: "Message Undeliverable." },
      href: "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
    },
  ]);
});

test("a conversation is told before v24 only, its expiry with sent only", () => {
  const [old] = statusesIn(written(report({ apiVersion: 23 })));
  const [oldRead] = statusesIn(written(report({ apiVersion: 23, status: "read" })));
  const [current] = statusesIn(written(report({ apiVersion: 24 })));
  assert.match(
    JSON.stringify(old?.["conversation"]),
    /"expiration_timestamp":"1750116473","origin":\{"type":"utility"\}/,
  );
  assert.doesNotMatch(JSON.stringify(oldRead?.["conversation"]), /expiration/);
  assert.equal(current?.["conversation"], undefined);
});

test("everything beyond ASCII is escaped in lower case, slashes too, and reads back as it was", () => {
  const callbackData = 'é😀/"\\<@%\u007f\u2028 end';
  const text = written(report({ callbackData }));
  // oxlint-disable-next-line no-control-regex -- ASCII is meant.
  assert.match(text, /^[\u0020-\u007e]+$/);
  assert.match(text, /\\u00e9\\ud83d\\ude00\\\//);
  assert.equal(statusesIn(text)[0]?.biz_opaque_callback_data, callbackData);
  fc.assert(
    fc.property(fc.string({ unit: "binary", minLength: 1 }), (data) => {
      assert.equal(statusesIn(written(report({ callbackData: data })))[0]?.biz_opaque_callback_data, data);
    }),
  );
});

test("neighbours of one number share a change, each account has its entry, order is kept", () => {
  const reports = [report(), report({ status: "delivered" }), report({ number: other }), report({ status: "read" })];
  const parsed: unknown = JSON.parse(notificationBody(reports, 50).toString());
  const countIn = (entry: number): unknown =>
    valueAt(parsed, "entry", entry, "changes", 0, "value", "statuses", "length");
  assert.deepEqual([countIn(0), countIn(1), countIn(2), countIn(3)], [2, 1, 1, undefined]);
  assert.equal(valueAt(parsed, "entry", 1, "id"), "302");
  assert.deepEqual(
    statusesIn(notificationBody(reports, 1).toString()).map((status) => status.status),
    ["sent", "delivered", "sent", "read"],
  );
});

test("the signature is the HMAC of the bytes that are sent", () => {
  const body = notificationBody([report()], 1);
  assert.equal(signBody(body, "secret"), `sha256=${createHmac("sha256", "secret").update(body).digest("hex")}`);
});
