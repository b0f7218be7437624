// volley campaign apply | list | show | activate | pause | preview

import { readFileSync, statSync } from "node:fs";
import { text as readStream } from "node:stream/consumers";

import type { CampaignStatsView } from "../api/campaign-stats.ts";
import type { CampaignView } from "../api/campaign-view.ts";
import type { CampaignFile } from "../runtime/campaign-file.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import { faultText } from "../runtime/file-fault.ts";
import { ApiRefusal, type ApiClient } from "./api-client.ts";
import { ENGINE_OPTIONS, JSON_OPTION, type Command, type CommandCall } from "./command.ts";
import { connect } from "./connection.ts";
import { samplePayload } from "./sample-payload.ts";
import { countText, tableLines } from "./table.ts";

const OPTIONS = { ...ENGINE_OPTIONS, ...JSON_OPTION };

export const campaignCommands: readonly Command[] = [
  {
    name: "campaign apply",
    summary: "Create or update campaigns from files (or whole folders of them)",
    positionals: ["<file>..."],
    options: OPTIONS,
    examples: ["volley campaign apply spring-sale.yaml"],
    run: applyCampaigns,
  },
  {
    name: "campaign list",
    summary: "List the campaigns and what keeps them from working",
    positionals: [],
    options: OPTIONS,
    examples: ["volley campaign list", "volley campaign list --json"],
    run: listCampaigns,
  },
  {
    name: "campaign show",
    summary: "Show one campaign: its definition and its figures",
    positionals: ["<campaign>"],
    options: OPTIONS,
    examples: ["volley campaign show order-confirmation"],
    run: showCampaign,
  },
  statusCommand("activate", "Let a campaign take and send events"),
  statusCommand("pause", "Stop a campaign: it takes no events, and what waits stays parked"),
  {
    name: "campaign preview",
    summary: "Render an event as a campaign would send it; nothing is sent or stored",
    positionals: ["<campaign>"],
    options: {
      ...OPTIONS,
      event: {
        value: "file",
        description: "a JSON event, - for standard input (default an example made from the mapping)",
      },
    },
    examples: ["volley campaign preview order-confirmation --event order.json"],
    run: previewCampaign,
  },
];

interface Applied {
  readonly id: string;
  readonly file: string;
  readonly result: "created" | "updated" | "refused";
  readonly errors: readonly string[];
}

async function applyCampaigns(call: CommandCall): Promise<number> {
  const client = await connect(call);
  const applied: Applied[] = [];
  for (const file of await campaignFiles(call)) {
    const result = await applyFile(client, file);
    applied.push(result);
    if (call.options.has("json")) continue;
    if (result.result !== "refused") call.terminal.print(`${result.id} ${result.result}`);
    for (const error of result.errors) call.terminal.say(`volley: ${error}`);
  }
  if (call.options.has("json")) call.terminal.print(JSON.stringify({ items: applied, cursor: null }));
  return applied.some(({ result }) => result === "refused") ? 1 : 0;
}

async function campaignFiles({ positionals, environment }: CommandCall): Promise<readonly CampaignFile[]> {
  const { loadCampaignFile, loadCampaignFolder } = await import("../runtime/campaign-file.ts");
  return positionals.flatMap((path) =>
    isFolder(path) ? loadCampaignFolder(path, environment).campaigns : [loadCampaignFile(path, environment)],
  );
}

async function applyFile(client: ApiClient, file: CampaignFile): Promise<Applied> {
  const id = file.kind === "loaded" ? file.definition.id : "";
  const refused = (errors: readonly string[]): Applied => ({
    id,
    file: file.file,
    result: "refused",
    errors,
  });
  if (file.kind === "refused" || file.faults.length > 0) return refused(file.faults.map(faultText));
  try {
    const { isNew } = await client.put(`/api/campaigns/${encodeURIComponent(id)}`, file.definition);
    return { id, file: file.file, result: isNew ? "created" : "updated", errors: [] };
  } catch (error) {
    // A refusal is about this file; without an engine or with a wrong key the other files need no trying.
    if (!(error instanceof ApiRefusal) || error.status === 401 || error.status === 403) throw error;
    if (error.faults.length === 0) return refused([`${file.file}: ${error.message}`]);
    return refused(error.faults.map((fault) => `${file.file} ${fault}`));
  }
}

async function listCampaigns(call: CommandCall): Promise<number> {
  const list = await (await connect(call)).get<{ items: readonly CampaignView[] }>("/api/campaigns");
  if (call.options.has("json")) {
    call.terminal.print(JSON.stringify(list));
    return 0;
  }
  const rows = list.items.map((campaign) => [
    campaign.id,
    campaign.status,
    campaign.lane,
    campaign.sender,
    `${campaign.template.name} (${campaign.template.language})`,
    campaign.source,
    campaign.faults[0]?.message ?? "",
  ]);
  const header = ["CAMPAIGN", "STATUS", "LANE", "SENDER", "TEMPLATE", "FROM", "FAULT"];
  for (const line of tableLines(header, rows)) call.terminal.print(line);
  return 0;
}

async function showCampaign(call: CommandCall): Promise<number> {
  const client = await connect(call);
  const path = campaignPath(call);
  const campaign = await client.get<CampaignView>(path);
  const stats = await client.get<CampaignStatsView>(`${path}/stats`);
  if (call.options.has("json")) {
    call.terminal.print(JSON.stringify({ ...campaign, stats }));
    return 0;
  }
  for (const line of campaignLines(campaign, stats)) call.terminal.print(line);
  return 0;
}

function campaignLines(campaign: CampaignView, stats: CampaignStatsView): string[] {
  const rows: (readonly [string, string])[] = [
    ["campaign", `${campaign.id} (${campaign.name})`],
    ["status", campaign.status],
    ["from", campaign.source === "file" ? "a file: edit it there" : "the API"],
    ["lane", campaign.lane],
    ["sender", campaign.sender],
    ["template", `${campaign.template.name} (${campaign.template.language})`],
    ["trigger", `POST ${campaign.triggerPath}`],
    ...(campaign.hookPath === null ? [] : [["hook", `POST ${campaign.hookPath}`] as const]),
    ["accepted", countText(stats.accepted)],
    ...Object.entries(stats.byStatus).flatMap(([status, count]) =>
      count === 0 ? [] : [[`  ${status}`, countText(count)] as const],
    ),
    ...Object.entries(stats.byError).map(([code, count]) => [`  error ${code}`, countText(count)] as const),
    ["waiting", `${countText(stats.waiting)}, oldest ${countText(stats.oldestWaitingSeconds)} s`],
    ...campaign.faults.map((fault) => ["fault", `${fault.path}: ${fault.message}`] as const),
  ];
  return rows.map(([name, value]) => `${name.padEnd(12)} ${value}`);
}

function statusCommand(verb: "activate" | "pause", summary: string): Command {
  return {
    name: `campaign ${verb}`,
    summary,
    positionals: ["<campaign>"],
    options: OPTIONS,
    examples: [`volley campaign ${verb} order-confirmation`],
    async run(call) {
      const campaign = await (await connect(call)).post<CampaignView>(`${campaignPath(call)}/${verb}`);
      call.terminal.print(call.options.has("json") ? JSON.stringify(campaign) : `${campaign.id} is ${campaign.status}`);
      return 0;
    },
  };
}

interface Preview {
  readonly phoneNumber: string;
  readonly message: string;
  /** What had to be changed for WhatsApp to take it, in words. */
  readonly changes?: readonly string[];
  /** Of a campaign with `sendAt`; null: at once. */
  readonly sendAt?: string | null;
  /** Of a campaign with `key`; null: the event has none. */
  readonly key?: string | null;
  /** Of a campaign with `cancels`. */
  readonly cancels?: readonly { readonly campaign: string; readonly key: string }[];
}

/** What a dry run answers for an event that the campaign's `when` filters out. */
interface Ignored {
  readonly status: "ignored";
}

async function previewCampaign(call: CommandCall): Promise<number> {
  const client = await connect(call);
  const file = call.options.text("event");
  const event =
    file === undefined
      ? JSON.stringify(samplePayload(await client.get<CampaignView>(campaignPath(call))))
      : await readEvent(file);
  const preview = await client.post<Preview | Ignored>(`${campaignPath(call)}/trigger?dryRun=true`, event);
  // An array of events answers with a list; so does --json, and a person reads that best as it is.
  if (call.options.has("json") || !("phoneNumber" in preview || "status" in preview)) {
    call.terminal.print(JSON.stringify(preview));
  } else if ("status" in preview) {
    call.terminal.print("ignored: the campaign's `when` lets other events through only");
  } else {
    call.terminal.print(`to ${preview.phoneNumber}\n\n${preview.message}`);
    for (const line of timingLines(preview)) call.terminal.print(line);
    for (const change of preview.changes ?? []) call.terminal.say(`changed: ${change}`);
  }
  return 0;
}

/** With an empty line before them, where the campaign has any. */
function timingLines({ sendAt, key, cancels }: Preview): string[] {
  const lines = [
    ...(sendAt === undefined ? [] : [`sent ${sendAt === null ? "at once" : `at ${sendAt}`}`]),
    ...(key === undefined ? [] : [key === null ? "waits under no key" : `waits under the key ${key}`]),
    ...(cancels ?? []).map((cancel) => `cancels what waits in ${cancel.campaign} under the key ${cancel.key}`),
    ...(cancels?.length === 0 ? ["cancels nothing"] : []),
  ];
  return lines.length === 0 ? lines : ["", ...lines];
}

async function readEvent(file: string): Promise<string> {
  try {
    return file === "-" ? await readStream(process.stdin) : readFileSync(file, "utf8");
  } catch (error) {
    throw new EngineError("ERR_CLI_USAGE", `The event cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function campaignPath({ positionals }: CommandCall): string {
  return `/api/campaigns/${encodeURIComponent(positionals[0] ?? "")}`;
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}
