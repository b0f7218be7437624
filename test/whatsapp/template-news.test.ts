import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";

import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { parseNotification } from "../../engine/whatsapp/notification.ts";
import { isAbout, templateNewsOf } from "../../engine/whatsapp/template-news.ts";

const SAMPLES = "../shared/samples/whatsapp";
const TEMPLATE: WhatsAppTemplate = {
  id: "1689556908129832",
  name: "order_confirmation",
  language: "en_US",
  status: "APPROVED",
  category: "UTILITY",
  components: [
    { type: "BODY", text: "Thanks, {{1}}." },
    { type: "FOOTER", text: "Bye" },
  ],
};

function after(news: Record<string, unknown>, template: WhatsAppTemplate = TEMPLATE): WhatsAppTemplate {
  const read = templateNewsOf({ message_template_id: 1689556908129832, ...news });
  assert(read !== null && isAbout(read, template));
  return read.apply(template);
}

test("a status is the template's from now on; reinstated means approved, flagged is a warning", () => {
  for (const event of ["PAUSED", "DISABLED", "REJECTED", "PENDING_DELETION", "SOMETHING_NEW"]) {
    assert.equal(after({ event, reason: "NONE" }).status, event);
  }
  for (const event of ["APPROVED", "REINSTATED", "UNARCHIVED", "FLAGGED"])
    assert.equal(after({ event }).status, "APPROVED");
  assert.equal(after({ event: "REJECTED", reason: "INVALID_FORMAT" })["rejected_reason"], "INVALID_FORMAT");
});

test("a category that is changed counts, one that is only announced does not yet", () => {
  const announced = after({ new_category: "UTILITY", correct_category: "MARKETING" });
  assert.deepEqual([announced.category, announced["correct_category"]], ["UTILITY", "MARKETING"]);
  const done = after({ previous_category: "UTILITY", new_category: "MARKETING" });
  assert.deepEqual([done.category, done["previous_category"]], ["MARKETING", "UTILITY"]);
});

test("an edit brings its texts and buttons, a quality its score", () => {
  const edited = after(
    {
      message_template_element: "New {{1}} {{2}}.",
      message_template_footer: "",
      message_template_buttons: [
        { message_template_button_type: "URL", message_template_button_url: "https://x.example" },
      ],
    },
    { ...TEMPLATE, components: [...TEMPLATE.components, { type: "BUTTONS", buttons: [] }] },
  );
  assert.deepEqual(edited.components, [
    { type: "BODY", text: "New {{1}} {{2}}." },
    { type: "FOOTER", text: "Bye" },
    { type: "BUTTONS", buttons: [{ type: "URL", url: "https://x.example" }] },
  ]);
  assert.deepEqual(after({ new_quality_score: "RED" })["quality_score"], { score: "RED" });
  assert.equal(after({ new_quality_score: "RED" }).status, "APPROVED");
});

test("the id decides; without one, name and language in either spelling", () => {
  const named = { message_template_name: "order_confirmation", message_template_language: "en-US" };
  const about = (value: unknown, template = TEMPLATE): boolean => {
    const news = templateNewsOf(value);
    return news !== null && isAbout(news, template);
  };
  assert.equal(about(named), true);
  assert.equal(about({ ...named, message_template_id: "1" }), false);
  assert.equal(about({ ...named, message_template_language: "de" }), false);
  const { id: _id, ...fromFile } = TEMPLATE;
  assert.equal(about({ ...named, message_template_id: "1" }, fromFile), true);
  for (const value of [null, [], "x", {}, { event: "PAUSED" }]) assert.equal(templateNewsOf(value), null);
});

test("Meta's samples are understood, whatever field they come under", { skip: !existsSync(SAMPLES) }, () => {
  const expected: Record<string, Partial<WhatsAppTemplate>> = {
    "webhook-template-status-approved": { status: "APPROVED" },
    "webhook-template-status-rejected": { status: "REJECTED", rejected_reason: "INVALID_FORMAT" },
    "webhook-template-quality-update": { quality_score: { score: "YELLOW" } },
    "webhook-template-category-update-done": { category: "MARKETING", previous_category: "UTILITY" },
    "webhook-template-category-update-upcoming": { category: "UTILITY", correct_category: "MARKETING" },
    "webhook-template-components-update": { status: "APPROVED" },
  };
  for (const [name, wanted] of Object.entries(expected)) {
    const parsed = parseNotification(readFileSync(`${SAMPLES}/${name}.json`, "utf8"), () => null);
    assert("notifications" in parsed);
    const news = templateNewsOf(parsed.notifications[0]?.value);
    assert(news !== null, name);
    const { id: _id, ...template } = { ...TEMPLATE, name: news.name };
    assert.ok(/^\d{15,17}$/.test(news.templateId), name);
    const changed = news.apply(template);
    for (const [key, value] of Object.entries(wanted)) assert.deepEqual(changed[key], value, name);
  }
});
