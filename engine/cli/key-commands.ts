// volley key create | list | revoke

import { KEY_SCOPES } from "../api/operators-api-deps.ts";
import { ENGINE_OPTIONS, JSON_OPTION, usageError, type Command, type CommandCall } from "./command.ts";
import { connect } from "./connection.ts";
import { tableLines } from "./table.ts";

const OPTIONS = { ...ENGINE_OPTIONS, ...JSON_OPTION };

export const keyCommands: readonly Command[] = [
  {
    name: "key create",
    summary: "Create an API key; it is printed once and stored hashed",
    positionals: ["<name>"],
    options: {
      ...OPTIONS,
      scope: { value: "scope", description: `one of ${KEY_SCOPES.join(", ")} (default trigger)` },
      campaign: {
        value: "id",
        description: "a campaign it is good for, repeatable (default all)",
        isRepeatable: true,
      },
    },
    examples: ["volley key create shop --scope trigger --campaign order-confirmation"],
    run: createKey,
  },
  {
    name: "key list",
    summary: "List the API keys, without their secrets",
    positionals: [],
    options: OPTIONS,
    examples: ["volley key list"],
    run: listKeys,
  },
  {
    name: "key revoke",
    summary: "Revoke an API key, effective at once",
    positionals: ["<key-id>"],
    options: OPTIONS,
    examples: ["volley key revoke 4fKq81Zt"],
    run: revokeKey,
  },
];

interface KeyItem {
  readonly id: string;
  readonly name: string;
  readonly scope: string;
  readonly campaigns: readonly string[] | null;
  readonly createdAt: string | null;
  readonly lastUsedAt: string | null;
  readonly revokedAt: string | null;
}

async function createKey(call: CommandCall): Promise<number> {
  const scope = call.options.text("scope") ?? "trigger";
  if (!KEY_SCOPES.some((known) => known === scope)) {
    throw usageError(`--scope must be one of ${KEY_SCOPES.join(", ")}, not ${JSON.stringify(scope)}`);
  }
  const campaigns = call.options.texts("campaign");
  const body = {
    name: call.positionals[0],
    scope,
    ...(campaigns.length === 0 ? {} : { campaigns }),
  };
  const created = await (await connect(call)).post<KeyItem & { readonly key: string }>("/api/keys", body);
  if (call.options.has("json")) {
    call.terminal.print(JSON.stringify(created));
    return 0;
  }
  // Alone on standard output, so that KEY=$(volley key create shop) works.
  call.terminal.print(created.key);
  call.terminal.say(`Key ${created.id}, scope ${created.scope}, ${reach(created)}. It is not shown again.`);
  return 0;
}

async function listKeys(call: CommandCall): Promise<number> {
  const list = await (await connect(call)).get<{ readonly items: readonly KeyItem[] }>("/api/keys");
  if (call.options.has("json")) {
    call.terminal.print(JSON.stringify(list));
    return 0;
  }
  const rows = list.items.map((key) => [
    key.id,
    key.name,
    key.scope,
    reach(key),
    key.createdAt,
    key.lastUsedAt,
    key.revokedAt === null ? "live" : `revoked ${key.revokedAt}`,
  ]);
  const header = ["KEY", "NAME", "SCOPE", "CAMPAIGNS", "CREATED", "LAST USED", "STATE"];
  for (const line of tableLines(header, rows)) call.terminal.print(line);
  return 0;
}

async function revokeKey(call: CommandCall): Promise<number> {
  const id = call.positionals[0] ?? "";
  await (await connect(call)).delete(`/api/keys/${encodeURIComponent(id)}`);
  call.terminal.print(call.options.has("json") ? JSON.stringify({ id, revoked: true }) : `${id} is revoked`);
  return 0;
}

function reach({ campaigns }: Pick<KeyItem, "campaigns">): string {
  return campaigns === null ? "all campaigns" : campaigns.join(", ");
}
