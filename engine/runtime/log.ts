// Logs are data: one JSON object a line, `event` in noun.verb form, ids and numbers with their units.
// No message bodies, no template variables, no whole phone numbers.

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}

/** `+14155552671` → `+1415•••••71`: enough to recognise, too little to call. */
export function maskPhone(phoneNumber: string): string {
  if (phoneNumber.length < 7) return "•••";
  return `${phoneNumber.slice(0, 5)}${"•".repeat(phoneNumber.length - 7)}${phoneNumber.slice(-2)}`;
}
