import assert from "node:assert/strict";
import { test } from "node:test";

import { checkCampaign } from "../../engine/runtime/campaign-definition.ts";
import { loadCampaignFile } from "../../engine/runtime/campaign-file.ts";
import { faultText } from "../../engine/runtime/file-fault.ts";
import { settingsFolder } from "./settings-folder.ts";

const SMALLEST = {
  id: "reminder",
  sender: "main",
  trigger: { attributes: { phoneNumber: { path: "phone", type: "phone" } } },
  template: { name: "hello", language: "en_US" },
};
const NIGHT = { from: "21:00", to: "09:00" };

function faultsOf(more: object): Record<string, string> {
  const result = checkCampaign({ ...SMALLEST, ...more });
  return result.kind === "valid" ? {} : Object.fromEntries(result.faults.map(({ path, message }) => [path, message]));
}

test("delay, key, cancels and quiet hours are taken as they are written", () => {
  const bodies = [
    { sendAt: { offset: 3600 } },
    { sendAt: { path: "send_at" } },
    { sendAt: { path: ["a", "b.c"], offset: "-1d 12h", timeZone: "Europe/Berlin", required: true } },
    { key: { path: ["checkout_token", "cart_token"] } },
    { cancels: [{ campaign: "other", key: { path: "id" } }] },
    { key: { path: "id" }, cancels: [{ campaign: "reminder", key: { path: "id" } }] },
    { lane: "marketing", quietHours: NIGHT },
    { lane: "marketing", quietHours: { from: "00:00", to: "23:59", timeZone: "US/Eastern" } },
  ];
  for (const body of bodies) {
    const result = checkCampaign({ ...SMALLEST, ...body });
    assert(result.kind === "valid", JSON.stringify(result));
    for (const [key, value] of Object.entries(body)) {
      assert.deepEqual(Object.entries(result.definition).find(([name]) => name === key)?.[1], value);
    }
  }
});

test("a campaign without them has none of them", () => {
  const result = checkCampaign(SMALLEST);
  assert(result.kind === "valid");
  for (const key of ["sendAt", "key", "cancels", "quietHours"]) assert.ok(!Object.hasOwn(result.definition, key), key);
});

test("a send time needs a path or an offset", () => {
  assert.deepEqual(faultsOf({ sendAt: {} }), { sendAt: "expected a path, an offset or both" });
  assert.deepEqual(faultsOf({ sendAt: { timeZone: "UTC" } }), { sendAt: "expected a path, an offset or both" });
});

test("an offset is a length of time, of at most 60 days, and ahead when nothing else is", () => {
  const offset = (value: unknown, path?: string): string | undefined =>
    faultsOf({ sendAt: { offset: value, ...(path !== undefined && { path }) } })["sendAt.offset"];
  assert.equal(offset("soon"), 'expected seconds, or text such as 30m, -2h or 1d 12h, found "soon"');
  assert.equal(offset([]), "expected seconds, or text such as 30m, -2h or 1d 12h, found a list");
  assert.equal(offset("60d"), undefined);
  assert.equal(offset("60d 1s"), 'expected at most 60 days, found "60d 1s"');
  assert.equal(offset("-61d", "at"), 'expected at most 60 days, found "-61d"');
  assert.equal(offset("-60d", "at"), undefined);
  assert.equal(offset(0), "expected an offset above 0 where there is no path, found 0");
  assert.equal(offset("-2h"), 'expected an offset above 0 where there is no path, found "-2h"');
  assert.equal(offset(0, "at"), undefined);
});

test("a time zone and `required` are for times from the payload", () => {
  assert.deepEqual(faultsOf({ sendAt: { offset: 60, timeZone: "UTC", required: true } }), {
    "sendAt.timeZone": "only times from a path have a time zone",
    "sendAt.required": "only times from a path can be required",
  });
});

test("a time zone that does not exist is told with the nearest one", () => {
  const message =
    'expected a time zone such as Europe/Berlin or UTC, found "Europe/Berln"; the nearest is "Europe/Berlin"';
  assert.deepEqual(faultsOf({ sendAt: { path: "at", timeZone: "Europe/Berln" } }), { "sendAt.timeZone": message });
  assert.deepEqual(faultsOf({ lane: "marketing", quietHours: { ...NIGHT, timeZone: "Europe/Berln" } }), {
    "quietHours.timeZone": message,
  });
  assert.match(faultsOf({ sendAt: { path: "at", timeZone: "+02:00" } })["sendAt.timeZone"] ?? "", /found "\+02:00"/);
});

test("quiet hours are for marketing, and have a beginning and another end", () => {
  const onlyMarketing = "only campaigns of the lane marketing have quiet hours";
  assert.deepEqual(faultsOf({ quietHours: NIGHT }), { quietHours: onlyMarketing });
  assert.deepEqual(faultsOf({ lane: "transactional", quietHours: NIGHT }), { quietHours: onlyMarketing });
  assert.deepEqual(faultsOf({ lane: "marketing", quietHours: { from: "09:00", to: "09:00" } }), {
    "quietHours.to": 'expected another time than from, found "09:00"',
  });
  assert.deepEqual(faultsOf({ lane: "marketing", quietHours: { from: "24:00", to: 540 } }), {
    "quietHours.from": 'expected a time from 00:00 to 23:59, in quotes, found "24:00"',
    "quietHours.to": "expected a time from 00:00 to 23:59, in quotes, found a number; put it in quotes",
  });
});

test("a campaign that replaces its own older messages needs a key of its own", () => {
  const cancels = [
    { campaign: "other", key: { path: "id" } },
    { campaign: "reminder", key: { path: "id" } },
  ];
  assert.deepEqual(faultsOf({ cancels }), {
    "cancels[1].campaign": "this campaign's own messages wait under no key: it has no `key`",
  });
});

test("cancels are 1 to 16, each with a campaign and a key", () => {
  const one = { campaign: "other", key: { path: "id" } };
  assert.deepEqual(faultsOf({ cancels: Array.from({ length: 16 }, () => one) }), {});
  const list = "expected a list such as [{ campaign: abandoned-cart, key: { path: checkout_token } }]";
  assert.deepEqual(faultsOf({ cancels: Array.from({ length: 17 }, () => one) }), {
    cancels: `${list}, at most 16, found 17`,
  });
  assert.deepEqual(faultsOf({ cancels: [] }), { cancels: list });
  assert.deepEqual(faultsOf({ cancels: [{ campaign: "../x" }] }), {
    "cancels[0].campaign": 'expected the id of a campaign, found "../x"',
    "cancels[0].key": "missing; expected an object such as { path: checkout_token }",
  });
});

test("faults are placed in the file, with the nearest key", (context) => {
  const folder = settingsFolder(context);
  const file = folder.write(
    "reminder.yaml",
    `id: reminder
sender: main
sendAt: { pth: created_at, offset: soon }
key: { paths: token }
cancels:
  - { campain: cart, key: { path: token } }
quietHour: { from: "21:00", to: "09:00" }
trigger: { attributes: { phoneNumber: { path: phone, type: phone } } }
template: { name: hello, language: en_US }
`,
  );
  const { kind, faults } = loadCampaignFile(file, {});
  assert.equal(kind, "refused");
  assert.deepEqual(
    faults.map((fault) => faultText(fault).replace(`${folder.path}/`, "")),
    [
      'reminder.yaml:3:11 sendAt.pth: unknown key; the nearest known key is "path"',
      "reminder.yaml:4:1 key.path: missing; expected a path such as customer.phone, or a list of them",
      'reminder.yaml:4:8 key.paths: unknown key; the nearest known key is "path"',
      "reminder.yaml:6:5 cancels[0].campaign: missing; expected the id of a campaign",
      'reminder.yaml:6:7 cancels[0].campain: unknown key; the nearest known key is "campaign"',
      'reminder.yaml:7:1 quietHour: unknown key; the nearest known key is "quietHours"',
    ],
  );
});

test("contradictions are placed in the file as well", (context) => {
  const folder = settingsFolder(context);
  const file = folder.write(
    "reminder.yaml",
    `id: reminder
sender: main
sendAt: { path: created_at, offset: soon }
quietHours: { from: "21:00", to: "09:00" }
trigger: { attributes: { phoneNumber: { path: phone, type: phone } } }
template: { name: hello, language: en_US }
`,
  );
  assert.deepEqual(
    loadCampaignFile(file, {}).faults.map((fault) => faultText(fault).replace(`${folder.path}/`, "")),
    [
      'reminder.yaml:3:37 sendAt.offset: expected seconds, or text such as 30m, -2h or 1d 12h, found "soon"',
      "reminder.yaml:4:1 quietHours: only campaigns of the lane marketing have quiet hours",
    ],
  );
});
