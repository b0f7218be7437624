// A webhook about a template: what it changes of the template as it is known. Meta's fields for such news are not
// reliable (its own sample of a quality change comes under the field of a status change), so the keys decide.

import type { TemplateButton, TemplateComponent, WhatsAppTemplate } from "../message/template.ts";
import { asList, asObject, asText, type ForeignObject } from "./foreign-json.ts";

export interface TemplateNews {
  /** Digits; empty: not said. */
  readonly templateId: string;
  readonly name: string;
  /** `en-US` here, `en_US` in lists. */
  readonly language: string;
  /** The template after it. */
  apply(template: WhatsAppTemplate): WhatsAppTemplate;
}

/** Events that say that a template can be sent, as the list says it. FLAGGED only warns. */
const APPROVING: ReadonlySet<string> = new Set(["APPROVED", "REINSTATED", "UNARCHIVED", "FLAGGED"]);
const BUTTON_PREFIX = "message_template_button_";

/** @returns null when the value is not about a template. */
export function templateNewsOf(value: unknown): TemplateNews | null {
  const news = asObject(value);
  const templateId = asText(news?.["message_template_id"]);
  const name = asText(news?.["message_template_name"]);
  if (news === null || (templateId === "" && name === "")) return null;
  const language = asText(news["message_template_language"]);
  return { templateId, name, language, apply: (template) => changed(template, news) };
}

/** The id decides where both have one: a name may have been given away anew. */
export function isAbout({ templateId, name, language }: TemplateNews, template: WhatsAppTemplate): boolean {
  const known = asText(template["id"]);
  if (templateId !== "" && known !== "") return templateId === known;
  return name === template.name && canonical(language) === canonical(template.language);
}

function changed(template: WhatsAppTemplate, news: ForeignObject): WhatsAppTemplate {
  return {
    ...template,
    ...changedStatus(news),
    ...changedQuality(news),
    ...changedCategory(news),
    components: template.components.map((component) => changedComponent(component, news)),
  };
}

function changedStatus(news: ForeignObject): { status?: string; rejected_reason?: string } {
  const event = asText(news["event"]);
  if (event === "") return {};
  const reason = asText(news["reason"]);
  const status = APPROVING.has(event) ? "APPROVED" : event;
  return reason === "" ? { status } : { status, rejected_reason: reason };
}

function changedQuality(news: ForeignObject): { quality_score?: unknown } {
  const score = asText(news["new_quality_score"]);
  return score === "" ? {} : { quality_score: { score } };
}

/** With a `correct_category` and no previous one the change is only announced. */
function changedCategory(news: ForeignObject): Record<string, string> {
  const category = asText(news["new_category"]);
  const before = asText(news["previous_category"]);
  if (category !== "" && before !== "") return { category, previous_category: before };
  const correct = asText(news["correct_category"]);
  return correct === "" ? {} : { correct_category: correct };
}

/** An edit carries the texts; the rest of the template is read again with the list. */
function changedComponent(component: TemplateComponent, news: ForeignObject): TemplateComponent {
  const buttons = asList(news["message_template_buttons"]);
  switch (component.type) {
    case "BODY":
      return withText(component, asText(news["message_template_element"]));
    case "FOOTER":
      return withText(component, asText(news["message_template_footer"]));
    case "HEADER":
      return "text" in component ? withText(component, asText(news["message_template_title"])) : component;
    case "BUTTONS":
      return buttons.length === 0 ? component : { ...component, buttons: buttons.map(buttonOf) };
    default:
      return component;
  }
}

function withText(component: TemplateComponent, text: string): TemplateComponent {
  return text === "" ? component : { ...component, text };
}

/** `message_template_button_url` is `url` in a list. */
function buttonOf(value: unknown): TemplateButton {
  const entries = Object.entries(asObject(value) ?? {});
  const button: Record<string, unknown> = {};
  for (const [key, item] of entries) button[key.replace(BUTTON_PREFIX, "")] = item;
  return { ...button, type: asText(button["type"]) };
}

function canonical(language: string): string {
  return language.replaceAll("-", "_").toLowerCase();
}
