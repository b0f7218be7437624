// Errors as the Graph API gives them: Meta's titles, HTTP statuses and details, in Meta's envelope.
// HTTP statuses are those of Meta's error page of December 2025, the last one that printed them.

/** What is wrong with a request, in the Graph API's terms. */
export interface GraphFault {
  readonly code: number;
  /** `error_data.details`; default the text of the table. */
  readonly details?: string;
  readonly subcode?: number;
  /** Instead of `(#code) title`, where Graph words it otherwise. */
  readonly message?: string;
  readonly type?: "OAuthException" | "GraphMethodException";
}

interface KnownError {
  readonly title: string;
  readonly httpStatus: number;
  readonly details?: string;
}

const KNOWN_ERRORS: Readonly<Record<number, KnownError>> = {
  0: { title: "AuthException", httpStatus: 401 },
  1: { title: "API Unknown", httpStatus: 400 },
  2: { title: "API Service", httpStatus: 503, details: "Service temporarily unavailable." },
  3: { title: "API Method", httpStatus: 500 },
  4: {
    title: "API Too Many Calls",
    httpStatus: 400,
    details: "The app has reached its API call rate limit.",
  },
  10: { title: "Permission Denied", httpStatus: 403 },
  33: {
    title: "Parameter value is not valid",
    httpStatus: 400,
    details: "The business phone number has been deleted.",
  },
  100: { title: "Invalid parameter", httpStatus: 400 },
  104: { title: "Requires valid signature", httpStatus: 401 },
  190: { title: "Access token has expired", httpStatus: 401 },
  200: { title: "Permissions error", httpStatus: 403 },
  368: {
    title: "Temporarily blocked for policies violations",
    httpStatus: 403,
    details:
      "The WhatsApp Business Account associated with the app has been restricted or disabled for violating a platform policy.",
  },
  80007: {
    title: "Rate limit issues",
    httpStatus: 400,
    details: "The WhatsApp Business Account has reached its rate limit.",
  },
  130403: {
    title: "User blocked",
    httpStatus: 400,
    details: "The business has blocked this user.",
  },
  130429: {
    title: "Rate limit hit",
    httpStatus: 400,
    details: "Cloud API message throughput has been reached.",
  },
  130472: {
    title: "User's number is part of an experiment",
    httpStatus: 400,
    details: "Failed to send message because this user's phone number is part of an experiment",
  },
  130497: {
    title: "Business account is restricted from messaging users in this country.",
    httpStatus: 403,
    details: "The WhatsApp Business Account is restricted from messaging to users in certain countries.",
  },
  131000: {
    title: "Something went wrong",
    httpStatus: 500,
    details: "Message failed to send due to an unknown error.",
  },
  131005: { title: "Access denied", httpStatus: 403 },
  131008: { title: "Required parameter is missing", httpStatus: 400 },
  131009: { title: "Parameter value is not valid", httpStatus: 400 },
  131016: {
    title: "Service unavailable",
    httpStatus: 500,
    details: "A service is temporarily unavailable.",
  },
  131021: {
    title: "Recipient cannot be sender",
    httpStatus: 400,
    details: "Sender and recipient phone number is the same.",
  },
  131026: { title: "Message undeliverable", httpStatus: 400, details: "Message Undeliverable." },
  131030: {
    title: "Recipient phone number not in allowed list",
    httpStatus: 400,
    details: "Recipient phone number not in allowed list: Add recipient phone number to recipient list and try again.",
  },
  131031: { title: "Business Account locked", httpStatus: 403 },
  131036: {
    title: "Message failed to be delivered on at least one of the user's device",
    httpStatus: 400,
    details: "Message payload not found",
  },
  131037: { title: "Display name approval needed", httpStatus: 400 },
  131042: {
    title: "Business eligibility payment issue",
    httpStatus: 400,
    details: "Message failed to send because there were one or more errors related to your payment method.",
  },
  131045: {
    title: "Incorrect certificate",
    httpStatus: 500,
    details: "Message failed to send due to a phone number registration error.",
  },
  131047: {
    title: "Re-engagement message",
    httpStatus: 400,
    details:
      "Message failed to send because more than 24 hours have passed since the customer last replied to this number.",
  },
  131048: {
    title: "Spam rate limit hit",
    httpStatus: 400,
    details:
      "Message failed to send because there are restrictions on how many messages can be sent from this phone number.",
  },
  131049: {
    title: "This message was not delivered to maintain healthy ecosystem engagement.",
    httpStatus: 400,
    details: "In order to maintain a healthy ecosystem engagement, the message failed to be delivered.",
  },
  131050: {
    title: "User has stopped marketing messages",
    httpStatus: 400,
    details: "The recipient has chosen to stop receiving marketing messages from this business.",
  },
  131051: {
    title: "Unsupported message type",
    httpStatus: 400,
    details: "Message type is not supported.",
  },
  131053: {
    title: "Media upload error",
    httpStatus: 400,
    details: "Unable to upload the media used in the message.",
  },
  131056: {
    title: "(Business Account, Consumer Account) pair rate limit hit",
    httpStatus: 400,
    details:
      "Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time.",
  },
  131057: {
    title: "Account in maintenance mode",
    httpStatus: 500,
    details: "Business Account is in maintenance mode",
  },
  131063: { title: "Marketing messages are disabled on Cloud API", httpStatus: 400 },
  131064: { title: "Template messages are limited", httpStatus: 400 },
  132000: {
    title: "Number of parameters does not match the expected number of params",
    httpStatus: 400,
  },
  132001: { title: "Template name does not exist in the translation", httpStatus: 404 },
  132005: { title: "Translated text too long", httpStatus: 400 },
  132007: {
    title: "Template format character policy violated",
    httpStatus: 400,
    details: "Template content violates a WhatsApp policy.",
  },
  132012: {
    title: "Parameter format does not match format in the created template",
    httpStatus: 400,
  },
  132015: {
    title: "Template is Paused",
    httpStatus: 400,
    details: "Template is paused due to low quality so it cannot be sent in a template message.",
  },
  132016: {
    title: "Template is Disabled",
    httpStatus: 400,
    details: "Template has been paused too many times due to low quality and is now permanently disabled.",
  },
  132018: { title: "Template parameter validation failed", httpStatus: 400 },
  133000: {
    title: "Incomplete Deregistration",
    httpStatus: 500,
    details: "A previous deregistration attempt failed.",
  },
  133004: {
    title: "Server Temporarily Unavailable",
    httpStatus: 503,
    details: "Server is temporarily unavailable.",
  },
  133010: { title: "Account not registered", httpStatus: 400 },
  134011: { title: "Payments terms of service not accepted", httpStatus: 400 },
  135000: {
    title: "Generic user error",
    httpStatus: 400,
    details: "Message failed to send because of an unknown error with your request parameters.",
  },
  137000: { title: "Recipient identity key hash mismatch", httpStatus: 400 },
};

const UNKNOWN_ERROR: KnownError = { title: "Something went wrong", httpStatus: 400 };
/** Graph says so itself for these; for all others the caller has to know the code. */
const TRANSIENT_CODES: ReadonlySet<number> = new Set([1, 2]);
const ERROR_PAGE = "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/";

export function httpStatusOf(code: number): number {
  return knownError(code).httpStatus;
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
      ...(TRANSIENT_CODES.has(fault.code) && { is_transient: true }),
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

function knownError(code: number): KnownError {
  return KNOWN_ERRORS[code] ?? UNKNOWN_ERROR;
}
