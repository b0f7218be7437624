// Logs are data: one JSON object a line, `event` in noun.verb form, ids and numbers with their units.
// No message bodies, no template variables, no phone numbers.

export type LogFields = Readonly<Record<string, unknown>>;

export interface Log {
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
}
