// Opt-outs as CSV, both ways. Files come from other providers: the columns have all kinds of names, numbers all kinds of
// forms, and what cannot be read is told with its line, because behind each line is a person who said no.

import { readPhone } from "../campaign/phone.ts";
import { regionOf } from "../campaign/region.ts";
import { csvRows } from "./csv-rows.ts";

export interface ReadOptions {
  /** The column of the numbers; undefined: the first of those known. */
  readonly column: string | undefined;
  /** ISO 3166 alpha-2 of numbers without their country code. */
  readonly region: string | undefined;
  /** Numbers without a plus sign begin with their country code all the same. */
  readonly isInternational: boolean;
  /** Of rows that name none. */
  readonly source: string;
}

export interface OptOutRow {
  /** In the file, the header being 1, if no cell has line breaks. */
  readonly line: number;
  /** E.164. */
  readonly phone: string;
  readonly since: string | null;
  readonly source: string;
}

export interface RowFault {
  readonly line: number;
  readonly message: string;
}

export interface OptOutFile {
  readonly rows: readonly OptOutRow[];
  readonly faults: readonly RowFault[];
}

export interface OptOutItem {
  readonly phone: string | null;
  readonly userId: string | null;
  readonly since: string;
  readonly source: string;
  readonly words: string;
}

const PHONE_COLUMNS = [
  "phone",
  "phone_number",
  "phonenumber",
  "number",
  "wa_id",
  "waid",
  "mobile",
  "msisdn",
  "whatsapp",
];
const SINCE_COLUMNS = ["since", "opted_out_at", "unsubscribed_at", "opt_out_date", "date", "timestamp"];
const SHAPE = /^\+[1-9]\d{6,14}$/;
const FORMULA_START = /^[=+\-@\t\r]/;

export const OPT_OUT_CSV_HEADER = "phone,user_id,since,source,words\r\n";

/** @throws SyntaxError for what is no CSV, or has no column of numbers; the message says which it has. */
export function readOptOutCsv(text: string, options: ReadOptions): OptOutFile {
  const rows: OptOutRow[] = [];
  const faults: RowFault[] = [];
  let columns: Columns | null = null;
  let line = 1;
  for (const row of csvRows(withHeader(text.replace(/^\uFEFF/, ""), options))) {
    line++;
    columns ??= columnsOf([...row.keys()], options.column);
    const cell = (name: string | null): string => (name === null ? "" : cellText(row.get(name) ?? ""));
    const written = cell(columns.phone);
    if (written === "" && [...row.values()].every((value) => value.trim() === "")) continue;
    const phone = phoneOf(written, options);
    if (phone.kind === "invalid") faults.push({ line, message: `${JSON.stringify(written)} ${phone.reason}` });
    else
      rows.push({
        line,
        phone: phone.phoneNumber,
        since: cell(columns.since) || null,
        source: cell(columns.source) || options.source,
      });
  }
  return { rows, faults };
}

/** As people and files write a number → E.164. */
export function phoneOf(
  written: string,
  options: Pick<ReadOptions, "region" | "isInternational">,
): ReturnType<typeof readPhone> {
  const text = options.isInternational && /^[1-9]/.test(written) ? `+${written}` : written;
  const reading = readPhone(text, regionOf(options.region));
  const digits = text.replace(/[\s().-]/g, "");
  // A range that is not in use (any more) is no reason to forget who said no.
  return reading.kind === "invalid" && SHAPE.test(digits) ? { kind: "valid", phoneNumber: digits } : reading;
}

export function optOutCsvRow({ phone, userId, since, source, words }: OptOutItem): string {
  return `${phone ?? ""},${cellOf(userId ?? "")},${since},${cellOf(source)},${cellOf(words)}\r\n`;
}

interface Columns {
  readonly phone: string;
  readonly since: string | null;
  readonly source: string | null;
}

function columnsOf(names: readonly string[], wanted: string | undefined): Columns {
  const find = (known: readonly string[]): string | null =>
    names.find((name) =>
      known.includes(
        name
          .trim()
          .toLowerCase()
          .replaceAll(/[\s-]+/g, "_"),
      ),
    ) ?? null;
  const phone = wanted === undefined ? find(PHONE_COLUMNS) : (names.find((name) => name.trim() === wanted) ?? null);
  if (phone !== null) return { phone, since: find(SINCE_COLUMNS), source: find(["source"]) };
  const missing = wanted === undefined ? "no column named phone" : `no column named ${JSON.stringify(wanted)}`;
  throw new SyntaxError(`it has ${missing}, but ${names.map((name) => JSON.stringify(name)).join(", ")}`);
}

/** A bare list of numbers has none. */
function withHeader(text: string, options: ReadOptions): string {
  const [first = ""] = text.split(/\r?\n/, 1);
  const isNumber = !first.includes(",") && phoneOf(first.trim(), options).kind === "valid";
  return isNumber ? `phone\r\n${text}` : text;
}

/** Spreadsheets, and our own export, keep what begins like a formula behind an apostrophe. */
function cellText(cell: string): string {
  return cell.trim().replace(/^'(?=[=+\-@\t\r])/, "");
}

function cellOf(text: string): string {
  const inert = FORMULA_START.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert;
}
