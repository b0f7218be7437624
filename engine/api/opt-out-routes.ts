// People who want no marketing: list, look up, add (also by the thousand, from another provider), take back.
//
// An item that cannot be read is told with its place in the list, and does not keep the others from being stored: of a
// list of opt-outs as much as possible has to count.

import { json, problem, type HttpRequest, type HttpResponse, type Route } from "../runtime/http.ts";
import { answerRoute, firstParam, list, needAdmin } from "./answer-route.ts";
import { invalidQuery, parseTime } from "./message-query.ts";
import { isoTime } from "./message-view.ts";
import type { OperatorsApiDeps, OptOutView } from "./operators-api-deps.ts";
import { compileBody, type RequestFault } from "./request-body.ts";

type OptOutRouteDeps = Pick<OperatorsApiDeps, "authorise" | "optOuts" | "nowMs">;

/** Items in one call; about 0.1 s of work. */
const OPT_OUT_ITEMS_MAX = 10_000;
/** Items of 100 characters each, and their keys. */
const BODY_BYTES_MAX = 4 * 1024 * 1024;
const LIMIT_DEFAULT = 100;
const LIMIT_MAX = 10_000;
/** A clock may be a little ahead of ours; a later time is a mistake, and could not be taken back. */
const AHEAD_MS_MAX = 300_000;
const SINCE_LEAST_MS = Date.UTC(2009, 0, 1);
const SHAPE = /^\+[1-9]\d{6,14}$/;
const PUNCTUATION = /[\s().-]/g;

interface OptOutBody {
  readonly items: readonly OptOutBodyItem[];
}

interface OptOutBodyItem {
  readonly phone: string;
  readonly since?: string | null;
  readonly source?: string | null;
}

type AddedItem = Parameters<OperatorsApiDeps["optOuts"]["add"]>[0][number];

const readBody = compileBody<OptOutBody>({
  type: "object",
  additionalProperties: false,
  required: ["items"],
  properties: {
    items: {
      type: "array",
      minItems: 1,
      maxItems: OPT_OUT_ITEMS_MAX,
      items: {
        type: "object",
        additionalProperties: false,
        required: ["phone"],
        properties: {
          phone: { type: "string", maxLength: 64 },
          since: { type: ["string", "null"], maxLength: 64 },
          source: { type: ["string", "null"], minLength: 1, maxLength: 100 },
        },
      },
    },
  },
});

export function optOutRoutes(deps: OptOutRouteDeps): Route[] {
  return [
    answerRoute(deps, {
      method: "get",
      pattern: "/api/opt-outs",
      need: needAdmin,
      answer: (request) => listOptOuts(deps, request),
    }),
    answerRoute(deps, {
      method: "post",
      pattern: "/api/opt-outs",
      bodyBytesMax: BODY_BYTES_MAX,
      need: needAdmin,
      answer: (request) => addOptOuts(deps, request),
    }),
    answerRoute(deps, {
      method: "delete",
      pattern: "/api/opt-outs/:phone",
      need: needAdmin,
      answer: (request) => removeOptOut(deps, firstParam(request)),
    }),
  ];
}

function listOptOuts({ optOuts }: OptOutRouteDeps, request: HttpRequest): HttpResponse {
  const parameters = new URLSearchParams(request.query);
  const faults: RequestFault[] = [];
  for (const name of new Set(parameters.keys())) {
    if (["phone", "limit", "cursor"].includes(name)) continue;
    faults.push({ parameter: name, message: `${name} is not a parameter; known are phone, limit, cursor.` });
  }
  const limitText = parameters.get("limit") || String(LIMIT_DEFAULT);
  const limit = /^\d{1,6}$/.test(limitText) ? Number(limitText) : 0;
  if (limit < 1 || limit > LIMIT_MAX) {
    faults.push({ parameter: "limit", message: `limit must be a whole number from 1 to ${LIMIT_MAX}.` });
  }
  const phoneText = parameters.get("phone") ?? "";
  const phone = phoneText.trim() === "" ? null : addressedPhone(phoneText);
  if (phone === undefined) {
    const message = "phone must be a number with its country code, such as +14155552671.";
    faults.push({ parameter: "phone", message });
  }
  if (faults.length > 0) return invalidQuery(faults);
  if (typeof phone === "string") {
    const found = optOuts.find(phone);
    return list(found === undefined ? [] : [shown(found)]);
  }
  const page = optOuts.page({ after: parameters.get("cursor") || null, limit });
  return list(page.optOuts.map(shown), page.next);
}

async function addOptOuts(deps: OptOutRouteDeps, request: HttpRequest): Promise<HttpResponse> {
  const body = readBody(request);
  if (body.kind === "refused") return body.response;
  const faults: RequestFault[] = [];
  const items: AddedItem[] = [];
  for (const [index, item] of body.value.items.entries()) {
    const read = readItem(item, index, deps.nowMs());
    if ("message" in read) faults.push(read);
    else items.push(read);
  }
  const added = items.length === 0 ? 0 : await deps.optOuts.add(items);
  const counts = { added, known: items.length - added, refused: faults.length };
  if (items.length > 0) return json(200, { ...counts, errors: faults });
  const detail = `None of the ${faults.length} items can be read: ${faults[0]?.message ?? ""}`;
  return problem({ status: 422, code: "invalid_body", detail, more: { ...counts, errors: faults } });
}

async function removeOptOut({ optOuts }: OptOutRouteDeps, text: string): Promise<HttpResponse> {
  const phone = addressedPhone(text);
  if (phone !== undefined && (await optOuts.remove(phone))) return { status: 204 };
  const detail = `${JSON.stringify(text)} is not opted out.`;
  return problem({ status: 404, code: "opt_out_not_found", detail });
}

function readItem({ phone, since, source }: OptOutBodyItem, index: number, nowMs: number): AddedItem | RequestFault {
  const digits = phone.replace(PUNCTUATION, "");
  // Without its plus a number may be a national one: it would silently become somebody else's.
  if (!SHAPE.test(digits)) {
    const message = `${JSON.stringify(phone)} is no number with a plus sign and its country code, such as +14155552671.`;
    return { pointer: `/items/${index}/phone`, code: "invalid_phone_number", message };
  }
  const sinceMs = since === undefined || since === null ? null : parseTime(since);
  const isTime = sinceMs !== null && sinceMs >= SINCE_LEAST_MS && sinceMs <= nowMs + AHEAD_MS_MAX;
  if (typeof since === "string" && !isTime) {
    const message = `${JSON.stringify(since)} is no time in the past, such as 2026-11-23 or 2026-11-23T10:00:00Z.`;
    return { pointer: `/items/${index}/since`, code: "invalid_format", message };
  }
  return { phone: digits, sinceMs, source: source ?? "api" };
}

/** In an address a plus sign is easily lost (it stands for a space there): it may be left out. */
function addressedPhone(text: string): string | undefined {
  const phone = `+${text.replace(PUNCTUATION, "").replace(/^\+/, "")}`;
  return SHAPE.test(phone) ? phone : undefined;
}

function shown({ phone, userId, sinceMs, source, words }: OptOutView): Record<string, unknown> {
  return { phone: phone || null, userId: userId || null, since: isoTime(sinceMs), source, words };
}
