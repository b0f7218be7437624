// What the Graph API answers to reads: an account's templates, page by page, and a number's properties.

import type { WhatsAppTemplate } from "../message/template.ts";
import type { GraphFault } from "./graph-error.ts";
import { isHighThroughput, tierOf } from "./meta-levels.ts";
import type { NumberState } from "./number-state.ts";

export type GraphReading =
  | { readonly kind: "found"; readonly body: unknown }
  | { readonly kind: "refused"; readonly fault: GraphFault };

const PAGE_SIZE = 25;
const PAGE_SIZE_MAX = 250;
const TEMPLATE_FIELDS = ["name", "parameter_format", "components", "language", "status", "category", "sub_category"];
const NUMBER_FIELDS = [
  "display_phone_number",
  "verified_name",
  "quality_rating",
  "name_status",
  "code_verification_status",
];

/** @param url of this very resource, without query: `paging.next` continues it. */
export function listTemplates(
  templates: readonly WhatsAppTemplate[],
  query: URLSearchParams,
  url: string,
): GraphReading {
  const offset = readCursor(query.get("after"));
  if (offset === null) return { kind: "refused", fault: { code: 131059, details: "Invalid cursor" } };
  const limit = Math.min(PAGE_SIZE_MAX, Math.max(1, Math.floor(Number(query.get("limit") ?? PAGE_SIZE)) || PAGE_SIZE));
  const fields = fieldsIn(query) ?? TEMPLATE_FIELDS;
  const matching = templates.filter((template) => matches(template, query));
  const page = matching.slice(offset, offset + limit);
  const after = cursorAt(offset + page.length);
  const data = page.map((template) => pick(template, fields));
  if (page.length === 0) return { kind: "found", body: { data } };
  const cursors = { before: cursorAt(offset), after };
  const hasMore = offset + page.length < matching.length;
  const paging = hasMore ? { cursors, next: nextUrl(url, query, after) } : { cursors };
  return { kind: "found", body: { data, paging } };
}

export function describeNumber(
  number: NumberState,
  dailyRecipients: number | "unlimited",
  query: URLSearchParams,
): unknown {
  const properties = {
    display_phone_number: `+${number.displayPhoneNumber}`,
    verified_name: "Volley Simulator",
    quality_rating: number.quality,
    name_status: "APPROVED",
    code_verification_status: "VERIFIED",
    status: number.status,
    platform_type: "CLOUD_API",
    throughput: { level: isHighThroughput(number.messagesPerSecond) ? "HIGH" : "STANDARD" },
    whatsapp_business_manager_messaging_limit: tierOf(dailyRecipients),
    health_status: healthOf(number),
    id: number.phoneNumberId,
  };
  return pick(properties, fieldsIn(query) ?? NUMBER_FIELDS);
}

function healthOf(number: NumberState): unknown {
  const entities = [
    { entity_type: "PHONE_NUMBER", id: number.phoneNumberId, can_send_message: canSend(number.fails) },
    { entity_type: "WABA", id: number.wabaId, can_send_message: canSend(number.account.fails) },
  ];
  return { can_send_message: canSend(number.fails ?? number.account.fails), entities };
}

function canSend(fails: object | null): string {
  return fails === null ? "AVAILABLE" : "BLOCKED";
}

function matches(template: WhatsAppTemplate, query: URLSearchParams): boolean {
  for (const filter of ["name", "language", "status", "category"] as const) {
    const wanted = query.get(filter);
    if (wanted !== null && template[filter].toUpperCase() !== wanted.toUpperCase()) return false;
  }
  return true;
}

function fieldsIn(query: URLSearchParams): readonly string[] | null {
  const fields = query.get("fields");
  return fields === null || fields === "" ? null : fields.split(",").map((field) => field.trim());
}

/** The id always comes, and last, as with Graph. */
function pick(source: Readonly<Record<string, unknown>>, fields: readonly string[]): Record<string, unknown> {
  const picked: Record<string, unknown> = {};
  for (const field of fields) {
    if (field !== "id" && Object.hasOwn(source, field)) picked[field] = source[field];
  }
  return { ...picked, id: source["id"] };
}

function nextUrl(url: string, query: URLSearchParams, after: string): string {
  const next = new URLSearchParams(query);
  next.set("after", after);
  return `${url}?${next.toString()}`;
}

function cursorAt(offset: number): string {
  return Buffer.from(`t${offset}`).toString("base64url");
}

/** @returns null for a cursor that this simulator did not make. */
function readCursor(cursor: string | null): number | null {
  if (cursor === null || cursor === "") return 0;
  const match = /^t(\d{1,9})$/.exec(Buffer.from(cursor, "base64url").toString("latin1"));
  return match === null ? null : Number(match[1]);
}
