// Where in a payload a value lies: `customer.phone`, `line_items[0].title`, `["odd.key"].x`.
// Parsed once, when the campaign is deployed; a read walks plain steps and never leaves own properties, so a
// payload cannot make a path reach into a prototype.

import type { CampaignFault } from "../message/campaign.ts";

export interface AttributePath {
  /** As the operator wrote it. */
  readonly text: string;
  /** RFC 6901, for error messages. */
  readonly pointer: string;
  readonly steps: readonly PathStep[];
}

/** `isPosition`: written `[n]`, so it counts elements where the key itself does not exist. */
export interface PathStep {
  readonly key: string;
  readonly isPosition: boolean;
}

export type ParsedPath =
  | { readonly kind: "parsed"; readonly path: AttributePath }
  | { readonly kind: "malformed"; readonly message: string };

/** Payloads are refused beyond this depth as well. */
export const PATH_STEPS_MAX = 32;
export const PATH_LENGTH_MAX = 512;

const NAME = /^[^.[\]"']+/;
const POSITION = /^\[(\d{1,9})\]/;
const QUOTED = /^\[\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*\]/;
const DIGITS = /^\d+$/;

export function parsePath(text: string): ParsedPath {
  if (text.length > PATH_LENGTH_MAX) return malformed(text, `is longer than ${PATH_LENGTH_MAX} characters`);
  const steps: PathStep[] = [];
  let at = 0;
  while (at < text.length) {
    const isNameExpected = text[at] !== "[";
    // A dot stands between a step and a name, never before the first step and never before a bracket.
    if (isNameExpected && steps.length > 0) {
      if (text[at] !== ".") return malformed(text, `has an unexpected "${text[at]}" at position ${at + 1}`);
      at += 1;
    }
    const step = isNameExpected ? nameAt(text, at) : bracketAt(text, at);
    if (step === undefined) return malformed(text, `cannot be read at position ${at + 1}`);
    steps.push({ key: step.key, isPosition: step.isPosition });
    at += step.length;
  }
  if (steps.length === 0) return malformed(text, "is empty");
  if (steps.length > PATH_STEPS_MAX) return malformed(text, `has more than ${PATH_STEPS_MAX} steps`);
  return { kind: "parsed", path: { text, pointer: pointerOf(steps), steps } };
}

/** Of a definition's one path or several; what cannot be read is told at `place`. */
export function parsePaths(
  place: string,
  texts: string | readonly string[] | undefined,
  faults: CampaignFault[],
): AttributePath[] {
  return [texts ?? []].flat().flatMap((text) => {
    const parsed = parsePath(text);
    if (parsed.kind === "parsed") return [parsed.path];
    faults.push({ path: place, message: parsed.message });
    return [];
  });
}

/** @returns undefined where the path leads nowhere. */
export function readPath(payload: unknown, path: AttributePath): unknown {
  let value = payload;
  for (const step of path.steps) {
    if (typeof value !== "object" || value === null) return undefined;
    value = Array.isArray(value) ? elementOf(value, step.key) : memberOf(value, step);
  }
  return value;
}

interface Measured extends PathStep {
  readonly length: number;
}

function nameAt(text: string, at: number): Measured | undefined {
  const name = NAME.exec(text.slice(at))?.[0];
  return name === undefined ? undefined : { key: name, isPosition: false, length: name.length };
}

function bracketAt(text: string, at: number): Measured | undefined {
  const rest = text.slice(at);
  const position = POSITION.exec(rest);
  if (position?.[1] !== undefined) {
    return { key: String(Number(position[1])), isPosition: true, length: position[0].length };
  }
  const quoted = QUOTED.exec(rest);
  if (quoted === null) return undefined;
  const key = (quoted[1] ?? quoted[2] ?? "").replaceAll(/\\(.)/g, "$1");
  return { key, isPosition: false, length: quoted[0].length };
}

function malformed(text: string, what: string): ParsedPath {
  return { kind: "malformed", message: `path "${text.slice(0, 80)}" ${what}` };
}

function pointerOf(steps: readonly PathStep[]): string {
  return steps.map((step) => `/${step.key.replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");
}

function elementOf(list: readonly unknown[], key: string): unknown {
  // Only digits: `length` is an own property of arrays, but no element.
  return DIGITS.test(key) ? list[Number(key)] : undefined;
}

/** Adobe Commerce sends one and the same list as an array from one hook and as `{"1": …, "2": …}` from another. */
function memberOf(value: object, step: PathStep): unknown {
  if (Object.hasOwn(value, step.key)) return ownValue(value, step.key);
  if (!step.isPosition) return undefined;
  const keys = Object.keys(value);
  const key = keys.every((name) => DIGITS.test(name)) ? keys[Number(step.key)] : undefined;
  return key === undefined ? undefined : ownValue(value, key);
}

function ownValue(value: object, key: string): unknown {
  return Reflect.get(value, key);
}
