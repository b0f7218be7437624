// Meta's error codes with their titles and, where public samples show them, their details. HTTP statuses are those of
// Meta's error page of December 2025, the last one that printed them; a code it did not list has the likely one.

export interface KnownError {
  readonly title: string;
  readonly httpStatus: number;
  readonly details?: string;
}

/** code | HTTP status | title | details */
const TABLE = `
0 | 401 | AuthException |
1 | 400 | API Unknown |
2 | 503 | API Service | Service temporarily unavailable.
3 | 500 | API Method |
4 | 400 | API Too Many Calls | The app has reached its API call rate limit.
10 | 403 | Permission Denied |
17 | 400 | User request limit reached |
33 | 400 | Parameter value is not valid | The business phone number has been deleted.
100 | 400 | Invalid parameter |
104 | 401 | Requires valid signature |
190 | 401 | Access token has expired |
200 | 403 | Permissions error |
368 | 403 | Temporarily blocked for policies violations | The WhatsApp Business Account associated with the app has been restricted or disabled for violating a platform policy.
803 | 404 | Some of the aliases you requested do not exist |
2500 | 400 | OAuthException |
80007 | 400 | Rate limit issues | The WhatsApp Business Account has reached its rate limit.
80008 | 400 | There have been too many calls to this WhatsApp Business account | The WhatsApp Business Account has reached its rate limit of management calls.
130403 | 400 | User blocked | The business has blocked this user.
130429 | 400 | Rate limit hit | Cloud API message throughput has been reached.
130472 | 400 | User's number is part of an experiment | Failed to send message because this user's phone number is part of an experiment
130497 | 403 | Business account is restricted from messaging users in this country. | The WhatsApp Business Account is restricted from messaging to users in certain countries.
131000 | 500 | Something went wrong | Message failed to send due to an unknown error.
131005 | 403 | Access denied |
131008 | 400 | Required parameter is missing |
131009 | 400 | Parameter value is not valid |
131016 | 500 | Service unavailable | A service is temporarily unavailable.
131021 | 400 | Recipient cannot be sender | Sender and recipient phone number is the same.
131026 | 400 | Message undeliverable | Message Undeliverable.
131030 | 400 | Recipient phone number not in allowed list | Recipient phone number not in allowed list: Add recipient phone number to recipient list and try again.
131031 | 403 | Business Account locked | Business Account has been locked.
131035 | 400 | Webhook content expired | The content of the webhook is no longer stored.
131036 | 400 | Message failed to be delivered on at least one of the user's device | Message payload not found
131037 | 400 | Display name approval needed | The display name of the business phone number has not been approved.
131042 | 400 | Business eligibility payment issue | Message failed to send because there were one or more errors related to your payment method.
131044 | 400 | Business eligibility payment issue | There was an issue with the payment method of the business.
131045 | 500 | Incorrect certificate | Message failed to send due to a phone number registration error.
131047 | 400 | Re-engagement message | Message failed to send because more than 24 hours have passed since the customer last replied to this number.
131048 | 400 | Spam rate limit hit | Message failed to send because there are restrictions on how many messages can be sent from this phone number.
131049 | 400 | This message was not delivered to maintain healthy ecosystem engagement. | In order to maintain a healthy ecosystem engagement, the message failed to be delivered.
131050 | 400 | User has stopped marketing messages | The recipient has chosen to stop receiving marketing messages from this business.
131051 | 400 | Unsupported message type | Message type is not supported.
131052 | 400 | Media download error | Unable to download the media sent by the user.
131053 | 400 | Media upload error | Unable to upload the media used in the message.
131055 | 400 | Method not allowed | This method does not take messages of this kind.
131056 | 400 | (Business Account, Consumer Account) pair rate limit hit | Message failed to send because there were too many messages sent from this phone number to the same phone number in a short period of time.
131057 | 500 | Account in maintenance mode | Business Account is in maintenance mode
131059 | 400 | Invalid cursor | The cursor of the page is not valid.
131060 | 400 | This message is unavailable | The message is not available on this device.
131062 | 400 | Business-scoped user ids are not supported for this message | One-tap, zero-tap and copy-code authentication templates need a phone number.
131063 | 400 | Marketing messages are disabled on Cloud API | Marketing messages of this account are sent by the marketing_messages endpoint.
131064 | 400 | Template messages are limited | The account is limited because its templates were classified wrongly.
132000 | 400 | Number of parameters does not match the expected number of params |
132001 | 404 | Template name does not exist in the translation |
132005 | 400 | Translated text too long |
132007 | 400 | Template format character policy violated | Template content violates a WhatsApp policy.
132008 | 400 | Template parameter value is invalid | The value of a parameter is not valid.
132012 | 400 | Parameter format does not match format in the created template |
132015 | 400 | Template is Paused | Template is paused due to low quality so it cannot be sent in a template message.
132016 | 400 | Template is Disabled | Template has been paused too many times due to low quality and is now permanently disabled.
132018 | 400 | Template parameter validation failed |
132068 | 400 | Flow is blocked | Flow is in blocked state.
132069 | 400 | Flow is throttled | Flow is in throttled state and 10 messages using this flow were already sent in the last hour.
133000 | 500 | Incomplete Deregistration | A previous deregistration attempt failed.
133004 | 503 | Server Temporarily Unavailable | Server is temporarily unavailable.
133005 | 400 | Two-step verification PIN Mismatch | Two-step verification PIN incorrect.
133006 | 400 | Phone number re-verification needed | Phone number needs to be verified before registering.
133008 | 400 | Too many two-step verification PIN guesses | Too many two-step verification PIN guesses for this phone number.
133009 | 400 | Two-step verification PIN guessed too fast | Two-step verification PIN was entered too quickly.
133010 | 400 | Account not registered |
133015 | 400 | Please wait a few minutes before attempting to register this phone number | The phone number was recently deleted, and the deletion has not yet completed.
133016 | 400 | Account register deregister rate limit exceeded | Registration or deregistration failed because there were too many attempts for this phone number in a short period of time.
134011 | 400 | Payments terms of service not accepted |
134100 | 400 | Only marketing messages are supported | Only templates of category marketing can be sent by this endpoint.
134101 | 400 | Template sync is not completed | The template is still being synchronised; try again in 10 minutes.
134102 | 500 | Template is unavailable for use | The template cannot be sent by this endpoint: the account is not eligible or not onboarded.
135000 | 400 | Generic user error | Message failed to send because of an unknown error with your request parameters.
136024 | 400 | Verification code error |
136025 | 400 | Registration error |
137000 | 400 | Recipient identity key hash mismatch |
138000 | 400 | Calling not enabled | Calling is not enabled for this phone number.
139000 | 400 | Flow or block list error |
139200 | 400 | Direct Send Utility access is blocked | Direct send messaging capability is not available for this account right now.
147001 | 400 | Username error |
1752041 | 400 | Duplicate onboarding request |
2388019 | 400 | Message template limit exceeded |
2388293 | 400 | Template has too many variables for its length |
2388299 | 400 | Template has a variable at its start or end |
2494100 | 400 | Phone number is being maintained | Try again in a few minutes.
2593107 | 400 | Synchronisation request limit exceeded |
2593108 | 400 | Synchronisation window has passed |
`;

const KNOWN_ERRORS: ReadonlyMap<number, KnownError> = new Map(TABLE.trim().split("\n").map(readRow));

const UNKNOWN_ERROR: KnownError = { title: "Something went wrong", httpStatus: 400 };
/** 200 to 299 all speak of a missing permission. */
const PERMISSION_ERROR: KnownError = { title: "Permissions error", httpStatus: 403 };

export function knownError(code: number): KnownError {
  return KNOWN_ERRORS.get(code) ?? (code >= 200 && code < 300 ? PERMISSION_ERROR : UNKNOWN_ERROR);
}

/** Every code with words of its own. */
export function knownCodes(): number[] {
  return [...KNOWN_ERRORS.keys()];
}

function readRow(row: string): [number, KnownError] {
  const [code = "", httpStatus = "", title = "", details = ""] = row.split("|").map((cell) => cell.trim());
  const error = { title, httpStatus: Number(httpStatus) };
  return [Number(code), details === "" ? error : { ...error, details }];
}
