// A campaign as the API shows it: its definition, where it comes from and what keeps it from working. Secrets
// never leave the engine: they are masked, and a masked secret that comes back in a PUT means "the stored one",
// so that an operator can read a definition, change one line and send it back.

import type { CampaignDefinition, CampaignFault, TriggerAuth } from "../message/campaign.ts";
import type { CampaignEntry } from "./operators-api-deps.ts";

export const SECRET_MASK = "********";

export interface CampaignView extends CampaignDefinition {
  readonly source: "file" | "api";
  readonly faults: readonly CampaignFault[];
  /** Meta keeps it from sending for now, and it goes on by itself; null: Meta does not. */
  readonly parked: {
    readonly since: string;
    readonly reasons: readonly string[];
    readonly takesEvents: boolean;
  } | null;
  readonly triggerPath: string;
  /** Null for campaigns that have no lenient door, and the one with a token for all but admins. */
  readonly hookPath: string | null;
}

/** What {@link campaignView} adds to the definition; dropped again from a PUT. */
const ADDED = ["source", "faults", "parked", "triggerPath", "hookPath"];

export function campaignView(entry: CampaignEntry, isAdmin: boolean): CampaignView {
  const { definition } = entry;
  return {
    ...definition,
    trigger: { ...definition.trigger, auth: maskedAuth(definition.trigger.auth) },
    source: entry.source,
    faults: entry.faults,
    parked: parkedView(entry),
    triggerPath: `/api/campaigns/${definition.id}/trigger`,
    hookPath: hookPath(entry, isAdmin),
  };
}

export type Unmasked =
  | { readonly kind: "body"; readonly body: unknown }
  | { readonly kind: "faults"; readonly faults: readonly CampaignFault[] };

/** Makes of a PUT's body what is to be checked: id from the path, view fields dropped, masked secrets put back. */
export function completeBody(body: unknown, id: string, stored: CampaignDefinition | undefined): Unmasked {
  if (!isObject(body)) return { kind: "body", body };
  const kept = Object.fromEntries(Object.entries(body).filter(([key]) => !ADDED.includes(key)));
  if (kept["id"] === undefined) kept["id"] = id;
  if (kept["id"] !== id)
    return {
      kind: "faults",
      faults: [{ path: "id", message: `must be ${id}, as in the address` }],
    };
  const trigger = kept["trigger"];
  if (!isObject(trigger) || !isObject(trigger["auth"])) return { kind: "body", body: kept };
  const faults: CampaignFault[] = [];
  const auth = unmaskedAuth(trigger["auth"], stored?.trigger.auth, faults);
  if (faults.length > 0) return { kind: "faults", faults };
  return { kind: "body", body: { ...kept, trigger: { ...trigger, auth } } };
}

function parkedView({ parking, takesEvents }: CampaignEntry): CampaignView["parked"] {
  if (parking === null) return null;
  const since = new Date(parking.sinceMs).toISOString();
  return { since, reasons: parking.faults.map(({ path, message }) => `${path}: ${message}`), takesEvents };
}

function maskedAuth(auth: TriggerAuth): TriggerAuth {
  switch (auth.type) {
    case "apiKey":
      return auth;
    case "hmac":
      return { ...auth, secrets: auth.secrets.map(() => SECRET_MASK) };
    case "urlToken":
      return auth.token === undefined ? auth : { ...auth, token: SECRET_MASK };
  }
}

function unmaskedAuth(
  auth: Readonly<Record<string, unknown>>,
  stored: TriggerAuth | undefined,
  faults: CampaignFault[],
): Readonly<Record<string, unknown>> {
  const storedSecrets = stored?.type === "hmac" ? stored.secrets : [];
  const storedToken = stored?.type === "urlToken" ? stored.token : undefined;
  const restore = (value: unknown, kept: string | undefined, path: string): unknown => {
    if (value !== SECRET_MASK) return value;
    if (kept === undefined) faults.push({ path, message: "is masked and nothing is stored for it: give the secret" });
    return kept;
  };
  const restored: Record<string, unknown> = { ...auth };
  const secrets = auth["secrets"];
  if (Array.isArray(secrets)) {
    restored["secrets"] = secrets.map((secret: unknown, index) =>
      restore(secret, storedSecrets[index], `trigger.auth.secrets[${index}]`),
    );
  }
  if (auth["token"] !== undefined) restored["token"] = restore(auth["token"], storedToken, "trigger.auth.token");
  return restored;
}

function hookPath(entry: CampaignEntry, isAdmin: boolean): string | null {
  const { id, trigger } = entry.definition;
  switch (trigger.auth.type) {
    case "apiKey":
      return null;
    case "hmac":
      return `/hooks/${id}`;
    case "urlToken":
      return isAdmin && entry.urlToken !== null ? `/hooks/${id}/${entry.urlToken}` : null;
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
