// JSON bodies of the operators' API: read once, checked by a compiled schema, every fault named at once.

import { Ajv, type ErrorObject, type ValidateFunction } from "ajv";

import { messageOf } from "../runtime/errors.ts";
import { problem, type HttpRequest, type HttpResponse } from "../runtime/http.ts";

/** Campaign definitions are a few kilobytes; nothing else is larger. */
export const BODY_BYTES_MAX: number = 256 * 1024;

/** Some clients send `{}` with calls that take no body. */
export const NO_BODY_BYTES_MAX = 4_096;

export type JsonBody =
  | { readonly kind: "parsed"; readonly value: unknown }
  | { readonly kind: "refused"; readonly response: HttpResponse };

export type CheckedBody<T> =
  | { readonly kind: "valid"; readonly value: T }
  | { readonly kind: "refused"; readonly response: HttpResponse };

/** One fault of a body, a query or a campaign. */
export interface RequestFault {
  readonly [field: string]: string;
  readonly message: string;
}

// ignoreBOM false (the default) is what skips a byte-order mark.
const decoder = new TextDecoder("utf-8", { fatal: true });

const ajv = new Ajv({ allErrors: true });

/** A missing Content-Type passes as JSON; any other than JSON is refused with 415. */
export function readJsonBody(request: HttpRequest): JsonBody {
  if (!isJson(request.headers.get("content-type"))) {
    return refused(415, "unsupported_media_type", "The body must be application/json.");
  }
  let text: string;
  try {
    text = decoder.decode(request.body);
  } catch {
    return refused(400, "malformed_json", "The body is not valid UTF-8.");
  }
  try {
    return { kind: "parsed", value: JSON.parse(text) as unknown };
  } catch (error) {
    return refused(400, "malformed_json", `The body is not JSON: ${positioned(messageOf(error), text)}.`);
  }
}

export function compileBody<T>(schema: object): (request: HttpRequest) => CheckedBody<T> {
  const validate = ajv.compile<T>(schema);
  return (request) => {
    const body = readJsonBody(request);
    return body.kind === "refused" ? body : check(validate, body.value);
  };
}

/** The 422 of a body whose JSON is fine and whose content is not. */
export function invalidBody(faults: readonly RequestFault[]): HttpResponse {
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  return problem({
    status: 422,
    code: "invalid_body",
    detail: `The body has ${count}: ${faults[0]?.message ?? ""}`,
    more: { errors: faults },
  });
}

function check<T>(validate: ValidateFunction<T>, value: unknown): CheckedBody<T> {
  if (validate(value)) return { kind: "valid", value };
  return { kind: "refused", response: invalidBody((validate.errors ?? []).map(faultOf)) };
}

function faultOf(error: ErrorObject): RequestFault {
  const where = error.instancePath === "" ? "The body" : error.instancePath.slice(1).replaceAll("/", ".");
  const allowed: unknown = error.params["allowedValues"];
  const unknownKey: unknown = error.params["additionalProperty"];
  const hint = Array.isArray(allowed)
    ? ` (${allowed.join(", ")})`
    : typeof unknownKey === "string"
      ? ` (${unknownKey})`
      : "";
  return {
    pointer: error.instancePath,
    code: codeOf(error.keyword),
    message: `${where} ${error.message ?? ""}${hint}.`,
  };
}

function codeOf(keyword: string): string {
  switch (keyword) {
    case "required":
      return "required";
    case "type":
      return "wrong_type";
    case "maxLength":
    case "maxItems":
      return "too_long";
    case "additionalProperties":
      return "unknown_key";
    default:
      return "invalid_format";
  }
}

function isJson(contentType: string | undefined): boolean {
  if (contentType === undefined || contentType.trim() === "") return true;
  const type = (contentType.split(";")[0] ?? "").trim().toLowerCase();
  return type === "application/json" || (type.startsWith("application/") && type.endsWith("+json"));
}

/** V8 quotes the place of an unexpected character; only an unexpected end it leaves to be found. */
function positioned(message: string, text: string): string {
  return message.includes("end of JSON") ? `${message} at position ${text.length}` : message;
}

function refused(status: number, code: string, detail: string): { kind: "refused"; response: HttpResponse } {
  return { kind: "refused", response: problem({ status, code, detail }) };
}
