// The demo's shop and its books, without an engine.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import * as fc from "fast-check";
import { parsePhoneNumberFromString, type CountryCode } from "libphonenumber-js/max";

import { auditDemo, expectedEnds } from "../../engine/cli/demo-audit.ts";
import { demoDeliveries } from "../../engine/cli/demo-deliveries.ts";
import { demoOrders, seededRandom } from "../../engine/cli/demo-orders.ts";
import type { ReceivedSend } from "../../engine/simulator/received-send.ts";
import { NOW_MS } from "../api/in-memory-engine.ts";

interface Order {
  readonly phone: string | null;
  readonly total_price: string;
  readonly financial_status: string;
  readonly customer: { readonly first_name: string; readonly phone: string | null };
  readonly shipping_address: { readonly country_code: CountryCode; readonly phone: string | null };
}

const COUNT = 3_000;
const options = { count: COUNT, seed: 42, nowMs: NOW_MS };
const jsons = [...demoOrders(options)].map(({ json }) => json);
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the generator's own shape, checked below.
const orders = jsons.map((json) => JSON.parse(json) as Order);

describe("the demo's orders", () => {
  test("are the same for the same seed, and others for another", () => {
    assert.deepEqual(
      [...demoOrders(options)].map(({ json }) => json),
      jsons,
    );
    assert.notDeepEqual(
      [...demoOrders({ ...options, seed: 43 })].map(({ json }) => json),
      jsons,
    );
  });

  test("all have a phone number that is valid in the country they are shipped to", () => {
    for (const order of orders) {
      const phone = [order.phone, order.customer.phone, order.shipping_address.phone].find(
        (text) => text !== null && text !== "",
      );
      const country = order.shipping_address.country_code;
      const parsed = parsePhoneNumberFromString(phone ?? "", { defaultCountry: country, extract: false });
      assert.equal(parsed?.isValid(), true, `${phone} in ${country}`);
      assert.match(parsed?.getType() ?? "", /MOBILE/, `${phone} in ${country}`);
    }
  });

  test("are as varied as a shop's: countries, ways of writing a number, places to leave it", () => {
    const phones = orders.map(
      ({ phone, customer, shipping_address: { phone: shipped } }) => phone ?? customer.phone ?? shipped ?? "",
    );
    const share = (has: (phone: string) => boolean): number => phones.filter(has).length / COUNT;
    assert.ok(new Set(orders.map(({ shipping_address }) => shipping_address.country_code)).size >= 10);
    assert.ok(share((phone) => /^\+\d+$/.test(phone)) > 0.2);
    assert.ok(share((phone) => phone !== "" && !phone.startsWith("+")) > 0.2);
    assert.ok(orders.some(({ phone }) => phone === null) && orders.some(({ phone }) => phone === ""));
    assert.ok(new Set(orders.map(({ customer }) => customer.first_name)).size > 40);
  });

  test("have ids beyond 2^53 as bare digits, amounts as text, and a state that the campaign takes", () => {
    for (const json of jsons.slice(0, 100)) {
      const digits = /^\{"id":(\d+),/.exec(json)?.[1] ?? "";
      assert.equal(digits.length, 18);
      assert.ok(BigInt(digits) > BigInt(Number.MAX_SAFE_INTEGER));
    }
    for (const order of orders) {
      assert.match(order.total_price, /^\d+\.\d\d$/);
      assert.ok(["paid", "authorized"].includes(order.financial_status));
    }
  });
});

describe("the demo's deliveries", () => {
  test("hold every order once, in order, beside marked repetitions of whole deliveries", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.nat(2 ** 31), (count, seed) => {
        const expected = [...demoOrders({ count, seed, nowMs: NOW_MS })].map(({ json }) => json);
        const seen = new Set<string>();
        const bodies: string[] = [];
        for (const { webhookId, body } of demoDeliveries(
          demoOrders({ count, seed, nowMs: NOW_MS }),
          seededRandom(seed),
        )) {
          if (!seen.has(webhookId)) bodies.push(body.startsWith("[") ? body.slice(1, -1) : body);
          seen.add(webhookId);
        }
        assert.equal(bodies.join(","), expected.join(","));
      }),
      { numRuns: 50 },
    );
  });

  test("are mostly single, with some arrays and some repetitions", () => {
    const deliveries = [...demoDeliveries(demoOrders(options), seededRandom(1))];
    const arrays = deliveries.filter(({ body }) => body.startsWith("["));
    const repetitions = deliveries.length - new Set(deliveries.map(({ webhookId }) => webhookId)).size;
    assert.ok(arrays.length > 10 && arrays.length < deliveries.length / 10);
    assert.ok(repetitions > 10 && repetitions < deliveries.length / 20);
  });
});

describe("the demo's books", () => {
  const ids = ["a", "b", "c"].map((letter) => letter.repeat(26));
  const [a = "", b = "", c = ""] = ids;
  const READ = { status: "read", errorCode: null } as const;
  const FAILED = { status: "failed", errorCode: 131026 } as const;
  const sound = {
    events: 3,
    acceptedIds: ids,
    rows: [
      row(a, "read", { sent_at: "t", read_at: "t" }),
      row(b, "failed", { error_code: "131026", error_reason: "Not on WhatsApp." }),
      row(c, "read", { sent_at: "t", delivered_at: "t", read_at: "t" }),
    ],
    // c was refused once and taken at its second attempt.
    sends: [send(a, READ), send(b, FAILED), send(c, null), send(`${c}.2`, READ)],
  };

  test("agree when every message went the same way everywhere", () => {
    const { disagreements, reached, failures, rows } = auditDemo(sound);
    assert.deepEqual(disagreements, []);
    assert.deepEqual(reached, { sent: 2, delivered: 2, read: 2 });
    assert.equal(rows, 3);
    assert.deepEqual(failures, [{ status: "failed", errorCode: "131026", reason: "Not on WhatsApp.", count: 1 }]);
    assert.deepEqual(
      [...expectedEnds(sound.sends)],
      [
        ["read", 2],
        ["failed", 1],
      ],
    );
  });

  test("name everything that is lost, unfinished, sent twice or told differently", () => {
    const faults: readonly (readonly [Partial<typeof sound>, RegExp])[] = [
      [{ events: 4 }, /4 events were posted and 3 accepted/],
      [{ acceptedIds: [a, b, b] }, /1 messages share an id/],
      [{ rows: sound.rows.slice(1) }, /1 accepted messages are missing in the CSV \(a{26}\)/],
      [{ rows: [...sound.rows, row("d".repeat(26), "expired")] }, /1 messages in the CSV were never accepted/],
      [{ rows: [...sound.rows, row(a, "read")] }, /1 rows repeat another's message/],
      [{ rows: [row(a, "sent"), ...sound.rows.slice(1)] }, /1 messages have no final status/],
      [{ sends: sound.sends.slice(1) }, /1 messages never reached WhatsApp/],
      [{ sends: [...sound.sends, send(`${a}.2`, READ)] }, /1 messages reached WhatsApp twice/],
      [{ sends: [send(a, FAILED), ...sound.sends.slice(1)] }, /1 messages ended differently at WhatsApp/],
    ];
    for (const [change, expected] of faults) {
      assert.match(auditDemo({ ...sound, ...change }).disagreements.join("\n"), expected);
    }
  });
});

function row(id: string, status: string, more: Readonly<Record<string, string>> = {}): ReadonlyMap<string, string> {
  return new Map(Object.entries({ message_id: id, status, ...more }));
}

function send(data: string, end: ReceivedSend["end"]): ReceivedSend {
  return {
    sequence: 1,
    arrivedAtMs: 0,
    arrivedMonotonicMs: 0,
    phoneNumberId: "1",
    route: "messages",
    to: "",
    templateName: "",
    templateLanguage: "",
    text: "",
    bizOpaqueCallbackData: data,
    answer: { kind: "accepted", wamid: "w", isHeld: false },
    end,
  };
}
