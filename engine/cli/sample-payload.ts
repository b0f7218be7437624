// An example event for a campaign, made from its mapping: what `start` prints as a curl line and `campaign preview`
// renders when it is given no event.

import { parsePath, readPath, type PathStep } from "../campaign/attribute-path.ts";
import type { AttributeDefinition, CampaignDefinition } from "../message/campaign.ts";

type Tree = Record<string, unknown> | unknown[];

/** A real-looking number of a range that is never given out would not be valid, so this is a plain valid one. */
const PHONE_NUMBER = "+14155552671";

/** Past, so that the example's message goes at once. */
const SEND_AT = "2026-11-23T10:00:00Z";
const ID = "example-1";

/** Longer positions would only make a longer example. */
const POSITION_MAX = 9;

const BY_NAME: readonly (readonly [RegExp, string])[] = [
  [/first_?name/i, "Maria"],
  [/last_?name|surname/i, "Santos"],
  [/order|^name$/i, "#1001"],
  [/total|price|amount/i, "59.90"],
  [/track|code|token/i, "1Z999AA10123456784"],
  [/carrier/i, "UPS"],
  [/currency/i, "USD"],
  [/e-?mail/i, "maria@example.com"],
  [/url|link/i, "https://shop.example.com/orders/1001"],
  [/city/i, "Lisbon"],
];

type Sampled = Pick<CampaignDefinition, "trigger" | "sendAt" | "key" | "cancels">;

export function samplePayload({ trigger, sendAt, key, cancels = [] }: Sampled): unknown {
  const payload: Tree = {};
  for (const [name, attribute] of Object.entries(trigger.attributes)) {
    place(payload, firstPath(attribute.path), sampleValue(name, attribute));
  }
  if (trigger.dedupe !== undefined && "path" in trigger.dedupe) place(payload, trigger.dedupe.path, ID);
  if (trigger.when !== undefined) place(payload, firstPath(trigger.when.path), trigger.when.in[0] ?? "");
  if (sendAt?.path !== undefined) placeMissing(payload, firstPath(sendAt.path), SEND_AT);
  for (const { path } of [...(key === undefined ? [] : [key]), ...cancels.map((cancel) => cancel.key)]) {
    placeMissing(payload, firstPath(path), ID);
  }
  return payload;
}

function sampleValue(name: string, attribute: AttributeDefinition): string | number | boolean {
  switch (attribute.type) {
    case "phone":
      return PHONE_NUMBER;
    case "number":
      return 59.9;
    case "integer":
      return 3;
    case "boolean":
      return true;
    case "date":
      return "2026-11-23";
    case "email":
      return "maria@example.com";
    case "url":
      return "https://shop.example.com/orders/1001";
    case "string": {
      const text = BY_NAME.find(([pattern]) => pattern.test(name))?.[1] ?? name;
      return text.slice(0, attribute.maxLength ?? text.length);
    }
  }
}

function firstPath(path: string | readonly string[]): string {
  return typeof path === "string" ? path : (path[0] ?? "");
}

function placeMissing(payload: Tree, path: string, value: unknown): void {
  const parsed = parsePath(path);
  if (parsed.kind === "parsed" && readPath(payload, parsed.path) === undefined) place(payload, path, value);
}

/** Leaves the payload alone where an earlier value is in the way. */
function place(payload: Tree, path: string, value: unknown): void {
  const parsed = parsePath(path);
  if (parsed.kind === "malformed") return;
  let node: Tree = payload;
  const { steps } = parsed.path;
  for (const [index, step] of steps.entries()) {
    const next = steps[index + 1];
    const child = next === undefined ? value : (readStep(node, step) ?? (next.isPosition ? [] : {}));
    if (!writeStep(node, step, child) || next === undefined) return;
    if (!isTree(child)) return;
    node = child;
  }
}

function readStep(node: Tree, step: PathStep): unknown {
  return Array.isArray(node) ? node[Number(step.key)] : Object.hasOwn(node, step.key) ? node[step.key] : undefined;
}

function writeStep(node: Tree, step: PathStep, value: unknown): boolean {
  if (!Array.isArray(node)) {
    Object.defineProperty(node, step.key, {
      value,
      enumerable: true,
      writable: true,
      configurable: true,
    });
    return true;
  }
  const position = Number(step.key);
  if (!Number.isInteger(position) || position < 0 || position > POSITION_MAX) return false;
  while (node.length < position) node.push(null);
  node[position] = value;
  return true;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null;
}
