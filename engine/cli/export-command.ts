// volley export: a campaign's messages as CSV. A file appears under its name only when it is whole.

import { once } from "node:events";
import { createWriteStream, renameSync, rmSync } from "node:fs";

import type { CampaignStatsView } from "../api/campaign-stats.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import type { ApiClient } from "./api-client.ts";
import { ENGINE_OPTIONS, usageError, type Command, type CommandCall } from "./command.ts";
import { connect } from "./connection.ts";
import { RowCounter } from "./csv-rows.ts";
import { startProgressBar } from "./progress-bar.ts";
import { countText } from "./table.ts";

const FILTERS = ["status", "phone", "from", "to"] as const;

export const exportCommand: Command = {
  name: "export",
  summary: "Export a campaign's messages as CSV, also while they flow",
  positionals: ["<campaign>"],
  options: {
    out: { value: "file", description: "write to this file (default standard output)" },
    status: { value: "status", description: "only messages with this status" },
    phone: { value: "number", description: "only messages to this number" },
    from: {
      value: "time",
      description: "accepted at or after, 2026-11-23 or 2026-11-23T10:00:00Z",
    },
    to: { value: "time", description: "accepted before" },
    ...ENGINE_OPTIONS,
    json: { description: "print file, rows and bytes as JSON; needs --out" },
  },
  examples: [
    "volley export order-confirmation --out orders.csv",
    "volley export order-confirmation --status failed --from 2026-11-01 > failed.csv",
  ],
  run: exportMessages,
};

export interface ExportedCsv {
  /** Without the header. */
  readonly rows: number;
  readonly bytes: number;
}

type Sink = (chunk: Uint8Array) => Promise<void>;

async function exportMessages(call: CommandCall): Promise<number> {
  const { options, terminal } = call;
  const file = options.text("out");
  if (options.has("json") && file === undefined) throw usageError("--json needs --out: standard output holds the CSV");
  const client = await connect(call);
  const campaignPath = `/api/campaigns/${encodeURIComponent(call.positionals[0] ?? "")}`;
  const query = new URLSearchParams();
  for (const name of FILTERS) {
    const value = options.text(name);
    if (value !== undefined) query.set(name, value);
  }
  const path = `${campaignPath}/messages.csv${query.size === 0 ? "" : `?${query.toString()}`}`;
  // How many rows a filter leaves is not known before they came.
  const total = query.size > 0 ? 0 : (await client.get<CampaignStatsView>(`${campaignPath}/stats`)).accepted;
  const bar = startProgressBar(terminal, "export", total);
  const onRows = (rows: number): void => bar.update(rows);
  try {
    const exported =
      file === undefined
        ? await copyCsv(client, path, (chunk) => terminal.write(chunk), onRows)
        : await exportToFile(client, path, file, onRows);
    bar.setTotal(exported.rows);
    bar.update(exported.rows);
    bar.stop();
    if (options.has("json")) terminal.print(JSON.stringify({ file, ...exported }));
    else terminal.say(`${countText(exported.rows)} rows${file === undefined ? "" : ` in ${file}`}`);
    return 0;
  } finally {
    bar.stop();
  }
}

/** @throws EngineError ERR_EXPORT_FAILED when the export was cut; `file` is then as it was. */
export async function exportToFile(
  client: ApiClient,
  path: string,
  file: string,
  onRows: (rows: number) => void = () => {},
): Promise<ExportedCsv> {
  const partial = `${file}.part`;
  const output = createWriteStream(partial);
  try {
    await once(output, "open");
    const failed = once(output, "error").then(([error]: unknown[]) => Promise.reject(error));
    const write: Sink = async (chunk) => {
      if (!output.write(chunk)) await once(output, "drain");
    };
    const exported = await Promise.race([copyCsv(client, path, write, onRows), failed]);
    await Promise.race([new Promise<void>((resolve) => output.end(resolve)), failed]);
    renameSync(partial, file);
    return exported;
  } catch (error) {
    output.destroy();
    rmSync(partial, { force: true });
    if (error instanceof EngineError) throw error;
    throw new EngineError("ERR_EXPORT_FAILED", `${file} cannot be written: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

async function copyCsv(
  client: ApiClient,
  path: string,
  write: Sink,
  onRows: (rows: number) => void,
): Promise<ExportedCsv> {
  const counter = new RowCounter();
  const chunks = await client.stream(path);
  let bytes = 0;
  try {
    for await (const chunk of chunks) {
      counter.add(chunk);
      bytes += chunk.length;
      await write(chunk);
      onRows(Math.max(0, counter.rows - 1));
    }
  } catch (error) {
    throw new EngineError("ERR_EXPORT_FAILED", cutMessage(counter.rows, messageOf(error)), {
      cause: error,
    });
  }
  if (counter.rows === 0 || !counter.isComplete) {
    throw new EngineError("ERR_EXPORT_FAILED", cutMessage(counter.rows, "it ends within a row"));
  }
  return { rows: counter.rows - 1, bytes };
}

function cutMessage(rows: number, reason: string): string {
  return `The export broke off after ${Math.max(0, rows - 1)} rows: ${reason}.`;
}
