// The Liquid engine behind expressions that are more than attribute names: no file system, no loops, no chance,
// bounded time and memory, and the same answer on every machine, whatever its time zone and locale.

import assert from "node:assert/strict";

import { Liquid } from "liquidjs";

/** Far above any honest expression, so that a busy machine does not fail messages; it only ends runaways. */
const RENDER_MS_MAX = 1000;
/** Characters that one expression may create on its way to a value. */
const RENDER_MEMORY_MAX = 1_000_000;

/** Conditions and assignments; nothing that repeats, includes or reads a file. */
const TAGS: ReadonlySet<string> = new Set([
  "if",
  "unless",
  "case",
  "assign",
  "capture",
  "comment",
  "raw",
  "echo",
  "liquid",
  "#",
]);
/** They answer differently each time: a message sent again would say something else. */
const RANDOM_FILTERS = ["sample", "shuffle"];

const DATE_FILTERS = ["date", "date_to_xmlschema", "date_to_rfc822", "date_to_string", "date_to_long_string"];
const ISO_WITHOUT_OFFSET = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?)?$/;
const DAY_LENGTH = 10;

// One engine a language, and languages are few: an engine is 200 filters and tags.
const engines = new Map<string, Liquid>();

/** @param language as Meta writes it (`pt_BR`): the names of months and days are its. */
export function liquidFor(language: string): Liquid {
  const [locale] = supportedLocales(language);
  const key = locale ?? "en-US";
  let engine = engines.get(key);
  if (engine === undefined) {
    engine = newEngine(key);
    engines.set(key, engine);
  }
  return engine;
}

function newEngine(locale: string): Liquid {
  const engine = new Liquid({
    strictFilters: true,
    ownPropertyOnly: true,
    // An empty set of templates instead of the file system.
    templates: {},
    renderLimit: RENDER_MS_MAX,
    memoryLimit: RENDER_MEMORY_MAX,
    // A shop's times are shown in the shop's own offset, and never in that of the machine Volley runs on.
    preserveTimezones: true,
    timezoneOffset: 0,
    locale,
  });
  for (const tag of Object.keys(engine.tags)) {
    if (!TAGS.has(tag)) Reflect.deleteProperty(engine.tags, tag);
  }
  for (const filter of RANDOM_FILTERS) Reflect.deleteProperty(engine.filters, filter);
  for (const filter of DATE_FILTERS) pinZone(engine, filter);
  return engine;
}

/** Liquid reads a time without an offset in the zone of the machine it runs on, and may show the day before. */
function pinZone(engine: Liquid, name: string): void {
  const original = engine.filters[name];
  assert(typeof original === "function", `Liquid has no filter ${name}`);
  engine.registerFilter(name, function (value: unknown, ...rest: unknown[]): unknown {
    return original.call(this, inUtc(value), ...rest);
  });
}

function inUtc(value: unknown): unknown {
  if (typeof value !== "string" || !ISO_WITHOUT_OFFSET.test(value)) return value;
  return value.length === DAY_LENGTH ? `${value}T00:00:00Z` : `${value.replace(" ", "T")}Z`;
}

function supportedLocales(language: string): string[] {
  try {
    return Intl.DateTimeFormat.supportedLocalesOf(language.replaceAll("_", "-"));
  } catch {
    // Not a language tag: Meta's own business, the dates come out in English.
    return [];
  }
}
