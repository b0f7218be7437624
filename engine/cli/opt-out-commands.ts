// volley opt-outs list | add | remove | import | export

import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

import { EngineError, messageOf } from "../runtime/errors.ts";
import { type ApiClient, ApiRefusal } from "./api-client.ts";
import { ENGINE_OPTIONS, JSON_OPTION, usageError, type Command, type CommandCall } from "./command.ts";
import { connect } from "./connection.ts";
import {
  OPT_OUT_CSV_HEADER,
  type OptOutFile,
  optOutCsvRow,
  type OptOutItem,
  phoneOf,
  readOptOutCsv,
  type RowFault,
} from "./opt-out-csv.ts";
import { startProgressBar } from "./progress-bar.ts";
import { countText, tableLines } from "./table.ts";

const OPTIONS = { ...ENGINE_OPTIONS, ...JSON_OPTION };
const PHONE_OPTIONS = {
  region: { value: "code", description: "the country of numbers without their country code, such as GB" },
} as const;
const SINCE_OPTION = { value: "time", description: "when they said so (default now)" } as const;

/** Items a call of the API. */
const BATCH = 2_000;
const PAGE = 10_000;
const LIST_DEFAULT = 100;
/** Faults that are printed; --json has all. */
const FAULTS_SHOWN_MAX = 20;

export const optOutCommands: readonly Command[] = [
  {
    name: "opt-outs list",
    summary: "List who gets no marketing, or look a number up",
    positionals: [],
    options: {
      phone: { value: "number", description: "only this number, in any form that WhatsApp or people give it" },
      limit: { value: "n", description: `at most so many (default ${LIST_DEFAULT})` },
      ...PHONE_OPTIONS,
      ...OPTIONS,
    },
    examples: ["volley opt-outs list", "volley opt-outs list --phone +5511987654321"],
    run: listOptOuts,
  },
  {
    name: "opt-outs add",
    summary: "Keep marketing from numbers, effective at once",
    positionals: ["<phone>..."],
    options: {
      since: SINCE_OPTION,
      source: { value: "text", description: "where that is known from (default cli)" },
      ...PHONE_OPTIONS,
      ...OPTIONS,
    },
    examples: ["volley opt-outs add +14155552671", "volley opt-outs add 07400123456 --region GB --source phone-call"],
    run: addOptOuts,
  },
  {
    name: "opt-outs remove",
    summary: "Let marketing reach numbers again",
    positionals: ["<phone>..."],
    options: { ...PHONE_OPTIONS, ...OPTIONS },
    examples: ["volley opt-outs remove +14155552671"],
    run: removeOptOuts,
  },
  {
    name: "opt-outs import",
    summary: "Take over opt-outs from a CSV file, such as another provider's export",
    positionals: ["<csv>"],
    options: {
      column: { value: "name", description: "the column of the numbers (default phone, number, wa_id and the like)" },
      source: { value: "text", description: "of rows without a column source (default the file's name)" },
      international: { description: "numbers without a plus sign begin with their country code" },
      ...PHONE_OPTIONS,
      ...OPTIONS,
    },
    examples: [
      "volley opt-outs import opt-outs.csv",
      "volley opt-outs import contacts.csv --column Mobile --region DE",
      "volley opt-outs import wa-ids.csv --international",
    ],
    run: importOptOuts,
  },
  {
    name: "opt-outs export",
    summary: "Export who gets no marketing as CSV; import reads it back",
    positionals: [],
    options: {
      out: { value: "file", description: "write to this file (default standard output)" },
      ...ENGINE_OPTIONS,
      json: { description: "print file and rows as JSON; needs --out" },
    },
    examples: ["volley opt-outs export --out opt-outs.csv"],
    run: exportOptOuts,
  },
];

interface Page {
  readonly items: readonly OptOutItem[];
  readonly cursor: string | null;
}

interface Added {
  readonly added: number;
  readonly known: number;
  readonly errors: readonly { readonly pointer: string; readonly message: string }[];
}

async function listOptOuts(call: CommandCall): Promise<number> {
  const { options, terminal } = call;
  const limit = options.integer("limit", { min: 1, max: 1_000_000 }) ?? LIST_DEFAULT;
  const phone = options.text("phone");
  const client = await connect(call);
  const items: OptOutItem[] = [];
  const isCut =
    phone === undefined
      ? await readPages(client, limit, (page) => void items.push(...page))
      : void items.push(...(await client.get<Page>(lookUpPath(readNumber(call, phone)))).items);
  if (options.has("json")) {
    terminal.print(JSON.stringify({ items }));
    return 0;
  }
  const rows = items.map(({ phone: number, userId, since, source, words }) => [number ?? userId, since, source, words]);
  for (const line of tableLines(["PHONE", "SINCE", "SOURCE", "WORDS"], rows)) terminal.print(line);
  if (phone !== undefined && items.length === 0) terminal.say(`${phone} is not opted out`);
  if (isCut === true) terminal.say(`The first ${countText(limit)}; more with --limit, all with volley opt-outs export`);
  return 0;
}

async function addOptOuts(call: CommandCall): Promise<number> {
  const { options, terminal, positionals } = call;
  const source = options.text("source") ?? "cli";
  const items = positionals.map((text) => ({ phone: readNumber(call, text), since: options.text("since"), source }));
  const answer = await (await connect(call)).post<Added>("/api/opt-outs", { items });
  const { added, known, errors } = answer;
  if (options.has("json")) terminal.print(JSON.stringify(answer));
  else terminal.print(`${countText(added)} added, ${countText(known)} known already`);
  for (const { message } of errors) terminal.say(message);
  return errors.length === 0 ? 0 : 1;
}

async function removeOptOuts(call: CommandCall): Promise<number> {
  const { options, terminal, positionals } = call;
  const phones = positionals.map((text) => readNumber(call, text));
  const client = await connect(call);
  for (const phone of phones) {
    // oxlint-disable-next-line no-await-in-loop -- a handful, and the first that fails ends it
    await client.delete(`/api/opt-outs/${encodeURIComponent(phone)}`);
    if (!options.has("json")) terminal.print(`${phone} may get marketing again`);
  }
  if (options.has("json")) terminal.print(JSON.stringify({ removed: phones }));
  return 0;
}

async function importOptOuts(call: CommandCall): Promise<number> {
  const { options, terminal } = call;
  const file = call.positionals[0] ?? "";
  const { rows, faults } = readImport(call, file);
  const client = await connect(call);
  const refused: RowFault[] = [...faults];
  const counts = { added: 0, known: 0 };
  const bar = startProgressBar(terminal, "import", rows.length);
  try {
    for (let start = 0; start < rows.length; start += BATCH) {
      const part = rows.slice(start, start + BATCH);
      const items = part.map(({ phone, since, source }) => ({ phone, since, source }));
      // oxlint-disable-next-line no-await-in-loop -- each is durable before the next
      const answer = await postItems(client, items);
      counts.added += answer.added;
      counts.known += answer.known;
      for (const { pointer, message } of answer.errors) refused.push({ line: lineOf(pointer, part), message });
      bar.update(start + part.length);
    }
  } finally {
    bar.stop();
  }
  const errors = refused.toSorted((left, right) => left.line - right.line);
  if (options.has("json")) terminal.print(JSON.stringify({ ...counts, refused: errors.length, errors }));
  else {
    const { added, known } = counts;
    terminal.print(`${countText(added)} added, ${countText(known)} known already, ${countText(errors.length)} refused`);
  }
  for (const { line, message } of errors.slice(0, FAULTS_SHOWN_MAX)) terminal.say(`${file}:${line}: ${message}`);
  const more = errors.length - FAULTS_SHOWN_MAX;
  if (more > 0) terminal.say(`… and ${countText(more)} more; --json lists all`);
  return errors.length === 0 ? 0 : 1;
}

async function exportOptOuts(call: CommandCall): Promise<number> {
  const { options, terminal } = call;
  const file = options.text("out");
  if (options.has("json") && file === undefined) throw usageError("--json needs --out: standard output holds the CSV");
  const client = await connect(call);
  const bar = startProgressBar(terminal, "export", 0);
  const lines = [OPT_OUT_CSV_HEADER];
  try {
    await readPages(client, Number.POSITIVE_INFINITY, (items) => {
      for (const item of items) lines.push(optOutCsvRow(item));
      bar.update(lines.length - 1);
    });
  } finally {
    bar.stop();
  }
  const bytes = Buffer.from(lines.join(""));
  if (file === undefined) await terminal.write(bytes);
  else writeWhole(file, bytes);
  const rows = lines.length - 1;
  if (options.has("json")) terminal.print(JSON.stringify({ file, rows }));
  else terminal.say(`${countText(rows)} rows${file === undefined ? "" : ` in ${file}`}`);
  return 0;
}

/** @returns whether there is more than `limit`. */
async function readPages(
  client: ApiClient,
  limit: number,
  take: (items: readonly OptOutItem[]) => void,
): Promise<boolean> {
  let cursor: string | null = null;
  let left = limit;
  do {
    const query = new URLSearchParams({ limit: String(Math.min(PAGE, left)), ...(cursor === null ? {} : { cursor }) });
    // oxlint-disable-next-line no-await-in-loop -- each page names the next
    const page: Page = await client.get<Page>(`/api/opt-outs?${query.toString()}`);
    take(page.items);
    left -= page.items.length;
    ({ cursor } = page);
  } while (cursor !== null && left > 0);
  return cursor !== null;
}

function lookUpPath(phone: string): string {
  return `/api/opt-outs?${new URLSearchParams({ phone }).toString()}`;
}

function readImport(call: CommandCall, file: string): OptOutFile {
  const { options } = call;
  try {
    return readOptOutCsv(readFileSync(file, "utf8"), {
      column: options.text("column"),
      region: options.text("region"),
      isInternational: options.has("international"),
      source: options.text("source") ?? basename(file),
    });
  } catch (error) {
    throw usageError(`${file} cannot be imported: ${messageOf(error)}`);
  }
}

/** All of them refused is an answer like any other here. */
async function postItems(client: ApiClient, items: readonly object[]): Promise<Added> {
  try {
    return await client.post<Added>("/api/opt-outs", { items });
  } catch (error) {
    const refused = refusedItems(error);
    if (refused === null) throw error;
    return { added: 0, known: 0, errors: refused };
  }
}

/** @returns null when it was refused for another reason than its items. */
function refusedItems(error: unknown): Added["errors"] | null {
  if (!(error instanceof ApiRefusal) || error.problemCode !== "invalid_body") return null;
  const faults = error.faults.map((text) => /^(?<pointer>\/items\/\d+)\S*: (?<message>.*)$/s.exec(text)?.groups);
  const read = faults.map((fault) => ({ pointer: fault?.["pointer"] ?? "", message: fault?.["message"] ?? "" }));
  return read.every(({ pointer }) => pointer !== "") ? read : null;
}

/** Of `/items/12/since`. */
function lineOf(pointer: string, part: readonly { readonly line: number }[]): number {
  return part[Number(/^\/items\/(\d+)/.exec(pointer)?.[1])]?.line ?? 0;
}

/** @throws EngineError ERR_CLI_USAGE */
function readNumber({ options }: CommandCall, text: string): string {
  const reading = phoneOf(text, { region: options.text("region"), isInternational: false });
  if (reading.kind === "valid") return reading.phoneNumber;
  throw usageError(`${JSON.stringify(text)} ${reading.reason}`);
}

/** The file appears under its name only when it is whole. @throws EngineError ERR_EXPORT_FAILED */
function writeWhole(file: string, bytes: Uint8Array): void {
  try {
    writeFileSync(`${file}.part`, bytes);
    renameSync(`${file}.part`, file);
  } catch (error) {
    throw new EngineError("ERR_EXPORT_FAILED", `${file} cannot be written: ${messageOf(error)}`, { cause: error });
  }
}
