// What Meta's webhooks say when a template changes.

import type { WhatsAppTemplate } from "../message/template.ts";
import { fieldUpdate, type FieldUpdate } from "./field-update.ts";
import type { Scenario } from "./scenario.ts";

export interface TemplateNews {
  readonly before: WhatsAppTemplate;
  readonly after: WhatsAppTemplate;
  /** How often it was paused, this time included. */
  readonly pauses: number;
  /** It was paused because of its pacing, not of its quality. */
  readonly isPacing: boolean;
}

interface Account {
  readonly wabaId: string;
  readonly atMs: number;
  readonly forms: Scenario["webhooks"];
}

const PAUSE_TITLES = ["FIRST_PAUSE", "SECOND_PAUSE"];
const PAUSE_HOURS = [3, 6];
const UPCOMING_MS = 24 * 3_600_000;

/** One update for each thing that changed. */
export function templateUpdates(news: TemplateNews, account: Account): FieldUpdate[] {
  const { before, after } = news;
  const updates: FieldUpdate[] = [];
  const add = (field: string, value: Record<string, unknown>): void => {
    const identity = identityOf(after, account.forms);
    updates.push(fieldUpdate({ ...account, field, value: { ...identity, ...value } }));
  };
  if (before.status !== after.status) add("message_template_status_update", statusValue(news));
  if (before.category !== after.category) {
    add("template_category_update", { previous_category: before.category, new_category: after.category });
  }
  if (before["correct_category"] !== after["correct_category"] && after["correct_category"] !== undefined) {
    add("template_category_update", {
      new_category: after.category,
      correct_category: after["correct_category"],
      category_update_timestamp: Math.floor((account.atMs + UPCOMING_MS) / 1000),
    });
  }
  if (qualityOf(before) !== qualityOf(after)) {
    add(account.forms.qualityField, {
      previous_quality_score: qualityOf(before),
      new_quality_score: qualityOf(after),
    });
  }
  if (before.components !== after.components) add("message_template_components_update", componentsValue(after));
  return updates;
}

export function qualityOf(template: WhatsAppTemplate): string {
  const score: unknown = template["quality_score"];
  const value: unknown = typeof score === "object" && score !== null ? Reflect.get(score, "score") : undefined;
  return typeof value === "string" ? value : "UNKNOWN";
}

function identityOf(template: WhatsAppTemplate, forms: Scenario["webhooks"]): Record<string, unknown> {
  const { language } = template;
  return {
    message_template_id: template.id ?? "0",
    message_template_name: template.name,
    message_template_language: forms.language === "hyphen" ? language.replace("_", "-") : language,
  };
}

function statusValue({ before, after, pauses, isPacing }: TemplateNews): Record<string, unknown> {
  const value = {
    event: eventOf(before.status, after.status),
    reason: "NONE",
    message_template_category: after.category,
  };
  switch (value.event) {
    case "PAUSED":
      return { ...value, other_info: pauseInfo(pauses, isPacing) };
    case "APPROVED":
      return before.status === "PAUSED"
        ? { ...value, other_info: { title: "UNPAUSE", description: "Your message template has been unpaused." } }
        : value;
    case "DISABLED":
      return {
        ...value,
        other_info: {
          title: "DISABLED",
          description: "Your message template has been disabled because of low quality.",
        },
      };
    case "REJECTED":
      return { ...value, reason: "INVALID_FORMAT" };
    default:
      return value;
  }
}

function eventOf(before: string, after: string): string {
  if (after !== "APPROVED") return after;
  if (before === "ARCHIVED") return "UNARCHIVED";
  return before === "DISABLED" ? "REINSTATED" : after;
}

function pauseInfo(pauses: number, isPacing: boolean): Record<string, string> {
  if (isPacing) {
    const description = "Your message template has been paused because early feedback on it was bad.";
    return { title: "RATE_LIMITING_PAUSE", description };
  }
  const index = Math.min(pauses, PAUSE_TITLES.length) - 1;
  const description = `Your message template has been paused for ${PAUSE_HOURS[index] ?? 3} hours because it continued to have issues.`;
  return { title: PAUSE_TITLES[index] ?? "FIRST_PAUSE", description };
}

function componentsValue(template: WhatsAppTemplate): Record<string, unknown> {
  const textOf = (type: string): string | undefined =>
    template.components.find((component) => component.type.toUpperCase() === type)?.text;
  const buttons = template.components.find((component) => component.type.toUpperCase() === "BUTTONS")?.buttons ?? [];
  const [title, element, footer] = [textOf("HEADER"), textOf("BODY"), textOf("FOOTER")];
  return {
    ...(title !== undefined && { message_template_title: title }),
    ...(element !== undefined && { message_template_element: element }),
    ...(footer !== undefined && { message_template_footer: footer }),
    ...(buttons.length > 0 && {
      message_template_buttons: buttons.map((button) => ({
        message_template_button_type: button.type,
        message_template_button_text: button.text,
        message_template_button_url: button.url,
        message_template_button_phone_number: button["phone_number"],
      })),
    }),
  };
}
