// Header, body and buttons of one send, or of one card of it, checked against the template and rendered.

import type { BookedContent } from "./booked-template.ts";
import type { GraphFault } from "./graph-error.ts";
import { buttonsFault } from "./template-buttons.ts";
import { countDetails, fieldOf, fillPattern, typeOf } from "./text-pattern.ts";

export type ContentCheck =
  | { readonly kind: "fits"; readonly text: string }
  | { readonly kind: "faulty"; readonly fault: GraphFault };

/** What a send brings, sorted. */
export interface GivenContent {
  readonly header: readonly unknown[];
  readonly body: readonly unknown[];
  readonly buttons: readonly unknown[];
}

export interface ContentRules {
  readonly isNamed: boolean;
  /** Major version of the call. */
  readonly apiVersion: number;
  /** Before the names of the parts in details; empty, or of a card. */
  readonly place: string;
  readonly bodyLengthMax: number;
}

const MEDIA_FORMATS: ReadonlySet<string> = new Set(["IMAGE", "VIDEO", "DOCUMENT"]);
const LATITUDE_MAX = 90;
const LONGITUDE_MAX = 180;

export function checkContent(content: BookedContent, given: GivenContent, rules: ContentRules): ContentCheck {
  const fault =
    headerFault(content, given.header, rules) ?? buttonsFault(content.buttons, given.buttons, rules.apiVersion);
  return fault === null ? checkBody(content, given.body, rules) : { kind: "faulty", fault };
}

function headerFault(
  content: BookedContent,
  parameters: readonly unknown[],
  { isNamed, apiVersion, place }: ContentRules,
): GraphFault | null {
  const { headerFormat } = content;
  const label = `${place}header`;
  if (headerFormat === "" || headerFormat === "TEXT") {
    const filled = fillPattern(content.header, { label, parameters, isNamed, apiVersion });
    return filled.kind === "faulty" ? filled.fault : null;
  }
  if (parameters.length !== 1) return { code: 132000, details: countDetails(label, parameters.length, 1) };
  const type = typeOf(parameters[0], "type");
  if (type !== headerFormat) {
    return {
      code: 132012,
      details: `${label}: Format mismatch, expected ${headerFormat}, received ${type || "UNKNOWN"}`,
    };
  }
  const value = fieldOf(parameters[0], type.toLowerCase());
  if (MEDIA_FORMATS.has(headerFormat)) return mediaFault(value, type);
  return headerFormat === "LOCATION" ? locationFault(value) : null;
}

function locationFault(value: unknown): GraphFault | null {
  const latitude = coordinateOf(fieldOf(value, "latitude"));
  const longitude = coordinateOf(fieldOf(value, "longitude"));
  if (latitude === null || longitude === null) {
    return { code: 131008, details: "header: location requires latitude and longitude" };
  }
  const isOnEarth = Math.abs(latitude) <= LATITUDE_MAX && Math.abs(longitude) <= LONGITUDE_MAX;
  return isOnEarth ? null : { code: 131009, details: "header: latitude or longitude is out of range" };
}

function mediaFault(value: unknown, type: string): GraphFault | null {
  const id = fieldOf(value, "id");
  const link = fieldOf(value, "link");
  if (typeof id === "string" && id !== "") return null;
  if (typeof link === "string" && /^https?:\/\/\S+$/i.test(link)) return null;
  return { code: 131008, details: `header: ${type} requires an id or a link` };
}

/** Numbers, or numbers as text. */
function coordinateOf(value: unknown): number | null {
  if ((typeof value !== "number" && typeof value !== "string") || value === "") return null;
  const coordinate = Number(value);
  return Number.isFinite(coordinate) ? coordinate : null;
}

function checkBody(content: BookedContent, parameters: readonly unknown[], rules: ContentRules): ContentCheck {
  const { isNamed, apiVersion, place, bodyLengthMax } = rules;
  const label = `${place}body`;
  const filled = fillPattern(content.body, { label, parameters, isNamed, apiVersion });
  if (filled.kind === "faulty") return filled;
  // Characters, not UTF-16 units; counted only when the units leave a doubt.
  if (filled.text.length > bodyLengthMax && lengthOf(filled.text) > bodyLengthMax) {
    const details = `${label}: text of ${lengthOf(filled.text)} characters is longer than ${bodyLengthMax}`;
    return { kind: "faulty", fault: { code: 132005, details } };
  }
  return { kind: "fits", text: filled.text };
}

function lengthOf(text: string): number {
  return Array.from(text).length;
}
