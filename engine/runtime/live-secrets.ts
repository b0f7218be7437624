// The secrets of a configuration, which may change while the engine runs. Pure.

import type { EngineConfig } from "./config.ts";

export interface LiveSecrets {
  readonly whatsapp: Pick<EngineConfig["whatsapp"], "appSecret" | "appSecretBefore" | "verifyToken">;
  readonly accessTokens: Readonly<Record<string, string>>;
}

export function secretsOf({ whatsapp, senders }: EngineConfig): LiveSecrets {
  const { appSecret, appSecretBefore = "", verifyToken } = whatsapp;
  const tokens = Object.values(senders).map(({ id, accessToken }) => [id, accessToken] as const);
  return { whatsapp: { appSecret, appSecretBefore, verifyToken }, accessTokens: Object.fromEntries(tokens) };
}

/** A secret that is empty now changes nothing, for without it nothing works; but for the one that only still counts. */
export function withSecrets(
  config: EngineConfig,
  { whatsapp, accessTokens }: LiveSecrets,
): { readonly config: EngineConfig; readonly changed: readonly string[] } {
  const changed: string[] = [];
  const taken = (path: string, before: string, now: string | undefined): string => {
    if (now === undefined || now === "" || now === before) return before;
    changed.push(path);
    return now;
  };
  const senders = Object.entries(config.senders).map(([id, sender]) => {
    const token = Object.hasOwn(accessTokens, id) ? accessTokens[id] : undefined;
    const accessToken = taken(`senders.${id}.accessToken`, sender.accessToken, token);
    return [id, accessToken === sender.accessToken ? sender : { ...sender, accessToken }] as const;
  });
  const { appSecret, appSecretBefore = "", verifyToken } = config.whatsapp;
  if (appSecretBefore !== (whatsapp.appSecretBefore ?? "")) changed.push("whatsapp.appSecretBefore");
  const secrets = {
    appSecret: taken("whatsapp.appSecret", appSecret, whatsapp.appSecret),
    appSecretBefore: whatsapp.appSecretBefore ?? "",
    verifyToken: taken("whatsapp.verifyToken", verifyToken, whatsapp.verifyToken),
  };
  return {
    config: { ...config, whatsapp: { ...config.whatsapp, ...secrets }, senders: Object.fromEntries(senders) },
    changed,
  };
}
