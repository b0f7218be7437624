// A webhook that is no status: one change of an account, a template, a number, or a message from a person.

import { escapeLikeMeta } from "./meta-json.ts";

export interface FieldUpdate {
  readonly wabaId: string;
  readonly field: string;
  /** When it happened, epoch seconds. */
  readonly atSeconds: number;
  /** One item of `changes[]`, as Meta writes it. */
  readonly changeJson: string;
}

/**
 * @param value an object. A text under `message_template_id` is written as the number that Meta writes there,
 * digit by digit: it may be longer than a JSON number keeps.
 */
export function fieldUpdate(options: {
  readonly wabaId: string;
  readonly field: string;
  readonly atMs: number;
  readonly value: Readonly<Record<string, unknown>>;
}): FieldUpdate {
  const { wabaId, field, atMs, value } = options;
  const json = JSON.stringify({ value, field }).replaceAll(/("message_template_id":)"(\d+)"/g, "$1$2");
  return { wabaId, field, atSeconds: Math.floor(atMs / 1000), changeJson: escapeLikeMeta(json) };
}
