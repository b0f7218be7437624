// Errors as the Graph API gives them: Meta's titles, HTTP statuses and details, in Meta's envelope.

import { knownError } from "./graph-error-table.ts";

/** What is wrong with a request, in the Graph API's terms. */
export interface GraphFault {
  readonly code: number;
  /** `error_data.details`; default the text of the table. */
  readonly details?: string;
  readonly subcode?: number;
  /** Instead of `(#code) title`, where Graph words it otherwise. */
  readonly message?: string;
  readonly type?: "OAuthException" | "GraphMethodException";
  /** Instead of the table's: sources disagree on some. */
  readonly httpStatus?: number;
  /** `is_transient`; default only for the codes for which Graph says so. */
  readonly isTransient?: boolean;
}

/** Graph says so itself for these; for all others the caller has to know the code. */
const TRANSIENT_CODES: ReadonlySet<number> = new Set([1, 2]);
const ERROR_PAGE = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/";

export function httpStatusOf(fault: GraphFault): number {
  return fault.httpStatus ?? knownError(fault.code).httpStatus;
}

/** The JSON body of an error answer. */
export function errorBody(fault: GraphFault, traceId: string): string {
  const known = knownError(fault.code);
  const details = fault.details ?? known.details;
  return JSON.stringify({
    error: {
      message: fault.message ?? `(#${fault.code}) ${known.title}`,
      type: fault.type ?? "OAuthException",
      code: fault.code,
      ...((fault.isTransient ?? TRANSIENT_CODES.has(fault.code)) && { is_transient: true }),
      ...(details !== undefined && { error_data: { messaging_product: "whatsapp", details } }),
      ...(fault.subcode !== undefined && { error_subcode: fault.subcode }),
      fbtrace_id: traceId,
    },
  });
}

/** The `errors` array of a failed status, as JSON. */
export function statusErrors(code: number): string {
  const { title, details } = knownError(code);
  return JSON.stringify([{ code, title, message: title, error_data: { details: details ?? title }, href: ERROR_PAGE }]);
}
