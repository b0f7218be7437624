// Reads one attribute from a payload: along its paths, in order, to the first value that is there (for phones: the
// first that is a phone number), and into its type.

import type { AttributeDefinition, AttributeType } from "../message/campaign.ts";
import { readPath } from "./attribute-path.ts";
import type { AttributePath } from "./attribute-path.ts";
import { coerce, isBlank } from "./attribute-value.ts";
import { readPhone } from "./phone.ts";
import type { PhoneReading } from "./phone.ts";
import { regionOf } from "./region.ts";
import type { Region } from "./region.ts";

export interface AttributeReader {
  readonly name: string;
  readonly type: AttributeType;
  readonly paths: readonly AttributePath[];
  /** The value; undefined when there is none; something that the campaign's schema refuses when it is no such value. */
  read(payload: unknown): unknown;
  /** Says of a refused phone more than a schema can; undefined for all else. */
  explain(payload: unknown): Explanation | undefined;
}

export interface Explanation {
  readonly pointer: string;
  readonly code: "invalid_phone_number" | "wrong_type";
  readonly message: string;
}

export interface ReaderSource {
  readonly name: string;
  readonly definition: AttributeDefinition;
  readonly paths: readonly AttributePath[];
  /** Of phones, when the payload names the region. */
  readonly regionPath: AttributePath | undefined;
}

export function compileReader(source: ReaderSource): AttributeReader {
  const { type } = source.definition;
  return type === "phone" ? compilePhoneReader(source) : compileValueReader(source, type);
}

/** The first value that is not blank. */
export function firstValue(payload: unknown, paths: readonly AttributePath[]): unknown {
  for (const path of paths) {
    const value = readPath(payload, path);
    if (!isBlank(value)) return value;
  }
  return undefined;
}

/** Where {@link firstValue} finds it; the first path when it finds nothing. */
export function pointerOfFirst(payload: unknown, paths: readonly AttributePath[]): string {
  const found = paths.find((path) => !isBlank(readPath(payload, path)));
  return (found ?? paths[0])?.pointer ?? "";
}

function compileValueReader(source: ReaderSource, type: Exclude<AttributeType, "phone">): AttributeReader {
  const { name, definition, paths } = source;
  const fallback = definition.default === undefined ? undefined : coerce(type, definition.default);
  return {
    name,
    type,
    paths,
    read(payload) {
      for (const path of paths) {
        const raw = readPath(payload, path);
        const value = isBlank(raw) ? undefined : coerce(type, raw);
        if (value !== undefined) return value;
      }
      return fallback;
    },
    explain: () => undefined,
  };
}

function compilePhoneReader(source: ReaderSource): AttributeReader {
  const { name, definition, paths, regionPath } = source;
  const defaultRegion = regionOf(definition.defaultRegion);
  const regionIn = (payload: unknown): Region | undefined => {
    const raw = regionPath === undefined ? undefined : readPath(payload, regionPath);
    // A region that is named but not understood makes no number of the default region's: it is likely abroad.
    return isBlank(raw) ? defaultRegion : regionOf(raw);
  };
  return {
    name,
    type: "phone",
    paths,
    read(payload) {
      let refused: null | undefined;
      for (const path of paths) {
        const reading = readingOf(readPath(payload, path), regionIn, payload);
        if (reading?.kind === "valid") return reading.phoneNumber;
        if (reading !== undefined) refused = null;
      }
      if (refused === null || definition.default === undefined) return refused;
      const fallback = readPhone(String(definition.default), defaultRegion);
      return fallback.kind === "valid" ? fallback.phoneNumber : null;
    },
    explain(payload) {
      const path = paths.find((candidate) => !isBlank(readPath(payload, candidate)));
      if (path === undefined) return undefined;
      const reading = readingOf(readPath(payload, path), regionIn, payload);
      if (reading?.kind === "invalid") {
        return {
          pointer: path.pointer,
          code: "invalid_phone_number",
          message: `${name} ${reading.reason}`,
        };
      }
      return {
        pointer: path.pointer,
        code: "wrong_type",
        message: `${name} must be a phone number as text`,
      };
    },
  };
}

/** @returns undefined for a blank value, "no-text" for one that cannot be a phone number at all. */
function readingOf(
  raw: unknown,
  regionIn: (payload: unknown) => Region | undefined,
  payload: unknown,
): PhoneReading | { readonly kind: "no-text" } | undefined {
  if (isBlank(raw)) return undefined;
  if (typeof raw === "string") return readPhone(raw, regionIn(payload));
  // A number has lost its plus and its leading zeros, but `15024592181` beside a region still says enough.
  if (typeof raw === "number" && Number.isSafeInteger(raw) && raw > 0) return readPhone(String(raw), regionIn(payload));
  return { kind: "no-text" };
}
