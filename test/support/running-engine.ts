// An engine with its own simulator in this process, for tests that look at the whole path.

import { type Engine, startEngine } from "../../engine/main.ts";
import type { ScenarioInput } from "../../engine/simulator/scenario.ts";
import { type SimulatorThread, startSimulatorThread } from "../../engine/simulator/simulator-thread.ts";
import { parseCsv } from "./csv.ts";
import { until } from "./until.ts";
import {
  ACCESS_TOKEN,
  APP_SECRET,
  createWorkspace,
  GREETING,
  OFFER,
  PHONE_NUMBER_ID,
  WABA_ID,
  type Workspace,
  type WorkspaceOptions,
  type WorkspaceSender,
} from "./workspace.ts";

export interface RunningEngine {
  readonly simulator: SimulatorThread;
  readonly workspace: Workspace;
  readonly url: string;
  readonly key: string;
  /** Stops the engine and starts it again on the same data. */
  restart(): Promise<void>;
  /** False between the two halves of a restart. */
  isRunning(): boolean;
  post(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Response>;
  getJson<Value>(path: string): Promise<Value>;
  csv(campaignId: string): Promise<Record<string, string>[]>;
  /** Waits at most `deadlineMs`, by default a minute. */
  untilNothingWaits(campaignIds: readonly string[], deadlineMs?: number): Promise<void>;
  stop(): Promise<void>;
}

export async function runEngine(
  options: Omit<WorkspaceOptions, "whatsappUrl"> & {
    readonly scenario?: ScenarioInput;
    /** Of the engine; `folder` is that of volley.yaml. Default: empty. */
    environment?(folder: string): Readonly<Record<string, string>>;
  },
): Promise<RunningEngine> {
  const templates = options.templates ?? [GREETING, OFFER];
  const messagesPerSecond = options.messagesPerSecond ?? 1000;
  const senders: readonly WorkspaceSender[] = Object.values(
    options.senders ?? { main: { phoneNumberId: PHONE_NUMBER_ID, messagesPerSecond } },
  );
  const simulator = await startSimulatorThread({
    templates,
    senders: senders.filter(({ isUnknown }) => isUnknown !== true).map((sender) => ({ wabaId: WABA_ID, ...sender })),
    accessTokens: [ACCESS_TOKEN, ...senders.flatMap(({ accessToken }) => accessToken ?? [])],
    appSecret: APP_SECRET,
    ...(options.scenario === undefined ? {} : { scenario: options.scenario }),
  });
  const workspace = await createWorkspace({ ...options, templates, whatsappUrl: simulator.url });
  await simulator.setWebhookUrl(`${workspace.url}/webhooks/whatsapp`);
  const environment = options.environment?.(workspace.folder) ?? {};
  const start = (): Promise<Engine> =>
    startEngine({ configFile: workspace.configFile, environment, simulator: "never", logLevel: "silent" });
  let engine = await start().catch(async (error: unknown) => {
    // Its thread would keep the test's process alive.
    await simulator.close();
    throw error;
  });
  let isRunning = true;
  const authorisation = { "x-api-key": engine.adminKey };

  const getJson = async <Value>(path: string): Promise<Value> => {
    const answer = await fetch(`${workspace.url}${path}`, { headers: authorisation });
    return (await answer.json()) as Value;
  };
  return {
    simulator,
    workspace,
    url: workspace.url,
    key: engine.adminKey,
    restart: async () => {
      await engine.stop();
      isRunning = false;
      engine = await start();
      isRunning = true;
    },
    isRunning: () => isRunning,
    post: async (path, body, headers = {}) =>
      fetch(`${workspace.url}${path}`, {
        method: "POST",
        headers: { ...authorisation, "content-type": "application/json", ...headers },
        body: typeof body === "string" ? body : JSON.stringify(body),
      }),
    getJson,
    csv: async (campaignId) => {
      const path = `${workspace.url}/api/campaigns/${campaignId}/messages.csv`;
      return parseCsv(await (await fetch(path, { headers: authorisation })).text());
    },
    untilNothingWaits: async (campaignIds, deadlineMs) => {
      const nothingWaits = async (): Promise<boolean> => {
        const stats = await Promise.all(
          campaignIds.map((id) => getJson<{ waiting: number }>(`/api/campaigns/${id}/stats`)),
        );
        return stats.every(({ waiting }) => waiting === 0);
      };
      await until("nothing waits", nothingWaits, deadlineMs);
      await simulator.idle();
    },
    stop: async () => {
      await engine.stop();
      await simulator.close();
      workspace.remove();
    },
  };
}
