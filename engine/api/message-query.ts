// The query of a log search or an export, as typed by hand or built by a script: every fault named at once, and
// an unknown parameter refused, because a misspelt filter would silently export everything.

import { MESSAGE_STATUSES, type MessageStatus } from "../message/status.ts";
import { problem, type HttpResponse } from "../runtime/http.ts";
import type { MessageFilter } from "./operators-api-deps.ts";
import type { RequestFault } from "./request-body.ts";

const SEARCH_LIMIT_DEFAULT = 100;
const SEARCH_LIMIT_MAX = 1_000;

export interface SearchQuery extends MessageFilter {
  readonly limit: number;
  readonly cursor?: string;
}

export type QueryResult<T> =
  | { readonly kind: "valid"; readonly query: T }
  | { readonly kind: "refused"; readonly response: HttpResponse };

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

const FILTERS = ["status", "phone", "from", "to"];
const ISO_TIME = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/;
const PHONE = /^\+[1-9]\d{6,14}$/;

export function parseSearchQuery(query: string): QueryResult<SearchQuery> {
  const parameters = new URLSearchParams(query);
  const faults = unknownParameters(parameters, [...FILTERS, "limit", "cursor"]);
  const search: Writable<SearchQuery> = {
    ...parseFilter(parameters, faults),
    limit: parseLimit(parameters, faults),
  };
  const cursor = valueOf(parameters, "cursor");
  if (cursor !== undefined) search.cursor = cursor;
  return resultOf(search, faults);
}

export function parseExportQuery(query: string): QueryResult<MessageFilter> {
  const parameters = new URLSearchParams(query);
  const faults = unknownParameters(parameters, FILTERS);
  return resultOf(parseFilter(parameters, faults), faults);
}

/**
 * `2026-11-23`, `2026-11-23T10:00:00+01:00` or epoch milliseconds → epoch milliseconds; a time without offset is UTC.
 * Null when it is none of these.
 */
export function parseTime(text: string): number | null {
  if (/^\d{10,14}$/.test(text)) return Number(text);
  // In a query string a plus sign arrives as a space.
  const iso = text.replace(/ (\d\d:?\d\d)$/, "+$1");
  const match = ISO_TIME.exec(iso);
  if (match === null) return null;
  const isLocal = match[1] !== undefined && match[4] === undefined;
  const atMs = Date.parse(isLocal ? `${iso}Z` : iso);
  return Number.isNaN(atMs) ? null : atMs;
}

/** The 400 of a query that cannot be meant. */
export function invalidQuery(faults: readonly RequestFault[]): HttpResponse {
  const detail = faults.map(({ message }) => message).join(" ");
  return problem({ status: 400, code: "invalid_query", detail, more: { errors: faults } });
}

function parseFilter(parameters: URLSearchParams, faults: RequestFault[]): MessageFilter {
  const filter: Writable<MessageFilter> = {};
  const status = valueOf(parameters, "status");
  if (status !== undefined) {
    if (isStatus(status)) filter.status = status;
    else faults.push(fault("status", `status must be one of ${MESSAGE_STATUSES.join(", ")}.`));
  }
  const phone = valueOf(parameters, "phone");
  if (phone !== undefined) {
    const phoneNumber = `+${phone.replace(/[\s+().-]/g, "")}`;
    if (PHONE.test(phoneNumber)) filter.phone = phoneNumber;
    else faults.push(fault("phone", "phone must be a number with its country code, such as +14155552671."));
  }
  const fromMs = timeOf(parameters, "from", faults);
  const toMs = timeOf(parameters, "to", faults);
  if (fromMs !== undefined) filter.fromMs = fromMs;
  if (toMs !== undefined) filter.toMs = toMs;
  if (fromMs !== undefined && toMs !== undefined && fromMs >= toMs) {
    faults.push(fault("to", "to must be later than from."));
  }
  return filter;
}

function timeOf(parameters: URLSearchParams, name: "from" | "to", faults: RequestFault[]): number | undefined {
  const text = valueOf(parameters, name);
  if (text === undefined) return undefined;
  const atMs = parseTime(text);
  if (atMs !== null) return atMs;
  faults.push(fault(name, `${name} must be a time such as 2026-11-23 or 2026-11-23T10:00:00Z.`));
  return undefined;
}

function parseLimit(parameters: URLSearchParams, faults: RequestFault[]): number {
  const text = valueOf(parameters, "limit");
  if (text === undefined) return SEARCH_LIMIT_DEFAULT;
  const limit = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= SEARCH_LIMIT_MAX) return limit;
  faults.push(fault("limit", `limit must be a whole number from 1 to ${SEARCH_LIMIT_MAX}.`));
  return SEARCH_LIMIT_DEFAULT;
}

function unknownParameters(parameters: URLSearchParams, known: readonly string[]): RequestFault[] {
  const names = [...new Set(parameters.keys())].filter((name) => !known.includes(name));
  return names.map((name) => fault(name, `${name} is not a parameter; known are ${known.join(", ")}.`));
}

/** An empty parameter (`?status=`) is one that was left out. */
function valueOf(parameters: URLSearchParams, name: string): string | undefined {
  const value = parameters.get(name)?.trim();
  return value === "" ? undefined : value;
}

function isStatus(text: string): text is MessageStatus {
  return MESSAGE_STATUSES.some((status) => status === text);
}

function fault(parameter: string, message: string): RequestFault {
  return { parameter, message };
}

function resultOf<T>(query: T, faults: readonly RequestFault[]): QueryResult<T> {
  return faults.length === 0 ? { kind: "valid", query } : { kind: "refused", response: invalidQuery(faults) };
}
