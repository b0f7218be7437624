// What a template wants from a send, read from Meta's JSON. Types come in any case, the parameter format may be
// missing (then the placeholders tell), and unknown kinds are let pass: Meta adds to them.

import type { TemplateButton, TemplateComponent, WhatsAppTemplate } from "../message/template.ts";
import { isPositional, parseTemplateText } from "./template-text.ts";
import type { TemplateText } from "./template-text.ts";

export type Medium = "image" | "video" | "document";

export type HeaderShape =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly text: TemplateText }
  | { readonly kind: "media"; readonly medium: Medium }
  | { readonly kind: "location" };

export type ButtonShape =
  /** Takes no value. */
  | { readonly kind: "static"; readonly type: string }
  /** The value is appended to `prefix`. */
  | { readonly kind: "url"; readonly prefix: string; readonly suffix: string }
  /** May have a payload that comes back when it is pressed. */
  | { readonly kind: "quickReply" }
  | { readonly kind: "copyCode" }
  /** Copies a one-time code: takes the code of the body once more (Meta: else 131008). */
  | { readonly kind: "oneTimeCode" }
  | { readonly kind: "unsupported"; readonly type: string };

export interface TemplateShape {
  readonly name: string;
  readonly language: string;
  /** Upper case, as are `category`. */
  readonly status: string;
  readonly category: string;
  readonly isPositional: boolean;
  readonly header: HeaderShape;
  readonly body: TemplateText;
  readonly buttons: readonly ButtonShape[];
  /** Components that a send cannot leave out and Volley cannot fill. */
  readonly unsupported: readonly string[];
}

const MEDIA: Readonly<Record<string, Medium>> = {
  IMAGE: "image",
  VIDEO: "video",
  DOCUMENT: "document",
};
const UNSUPPORTED_COMPONENTS: ReadonlySet<string> = new Set(["CAROUSEL", "LIMITED_TIME_OFFER"]);
const UNSUPPORTED_BUTTONS: ReadonlySet<string> = new Set(["CATALOG", "FLOW", "MPM", "SPM"]);
/** Where Meta's GET shows the URL of a one-time-code button that was created with type OTP. */
const OTP_URL = /^https:\/\/www\.whatsapp\.com\/otp\//i;

export function readShape(template: WhatsAppTemplate): TemplateShape {
  const componentOf = (type: string): TemplateComponent | undefined =>
    template.components.find((component) => component.type.toUpperCase() === type);
  const header = headerShape(componentOf("HEADER"));
  const body = parseTemplateText(componentOf("BODY")?.text ?? "");
  const category = template.category.toUpperCase();
  const names = [...body.names, ...(header.kind === "text" ? header.text.names : [])];
  const types = template.components.map((component) => component.type.toUpperCase());
  return {
    name: template.name,
    language: template.language,
    status: template.status.toUpperCase(),
    category,
    // The placeholders decide: older answers lack `parameter_format`, and a template without variables has no format.
    isPositional: isPositional(names) && (names.length > 0 || template.parameter_format?.toUpperCase() !== "NAMED"),
    header,
    body,
    buttons: (componentOf("BUTTONS")?.buttons ?? []).map((button) => buttonShape(button, category)),
    unsupported: types.filter((type) => UNSUPPORTED_COMPONENTS.has(type)),
  };
}

function headerShape(component: TemplateComponent | undefined): HeaderShape {
  if (component === undefined) return { kind: "none" };
  const format = (component.format ?? "TEXT").toUpperCase();
  const medium = MEDIA[format];
  if (medium !== undefined) return { kind: "media", medium };
  if (format === "LOCATION") return { kind: "location" };
  return { kind: "text", text: parseTemplateText(component.text ?? "") };
}

function buttonShape(button: TemplateButton, category: string): ButtonShape {
  const type = button.type.toUpperCase();
  if (type === "OTP") return { kind: "oneTimeCode" };
  if (type === "QUICK_REPLY") return { kind: "quickReply" };
  if (type === "COPY_CODE") return { kind: "copyCode" };
  if (UNSUPPORTED_BUTTONS.has(type)) return { kind: "unsupported", type };
  const url = parseTemplateText(type === "URL" ? (button.url ?? "") : "");
  if (url.names.length === 0) return { kind: "static", type };
  const isOneTimeCode = category === "AUTHENTICATION" && OTP_URL.test(button.url ?? "");
  if (isOneTimeCode) return { kind: "oneTimeCode" };
  return { kind: "url", prefix: url.pieces[0] ?? "", suffix: url.pieces[1] ?? "" };
}
