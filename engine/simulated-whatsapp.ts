// Without credentials Volley still works: the bundled simulator stands in for WhatsApp, with the configuration's own
// senders and the templates beside it.

import { randomBytes } from "node:crypto";

import type { WhatsAppTemplate } from "./message/template.ts";
import type { EngineConfig, SenderConfig } from "./runtime/config.ts";
import type { ScenarioInput } from "./simulator/scenario.ts";
import { type SimulatorThread, startSimulatorThread } from "./simulator/simulator-thread.ts";

export interface SimulatedWhatsApp {
  readonly simulator: SimulatorThread;
  /** The configuration with the simulator's address and credentials in it. */
  readonly config: EngineConfig;
}

export async function simulateWhatsApp(options: {
  readonly config: EngineConfig;
  readonly templates: readonly WhatsAppTemplate[];
  readonly scenario: ScenarioInput;
}): Promise<SimulatedWhatsApp> {
  const { config, templates, scenario } = options;
  const appSecret = randomBytes(24).toString("hex");
  const accessToken = randomBytes(24).toString("hex");
  const senders = Object.values(config.senders);
  const simulator = await startSimulatorThread({
    templates,
    senders: senders.map(({ phoneNumberId, wabaId, messagesPerSecond }) => ({
      phoneNumberId,
      wabaId,
      messagesPerSecond,
    })),
    accessTokens: [accessToken],
    appSecret,
    scenario,
  });
  const withToken = (sender: SenderConfig): [string, SenderConfig] => [sender.id, { ...sender, accessToken }];
  return {
    simulator,
    config: {
      ...config,
      whatsapp: { ...config.whatsapp, baseUrl: simulator.url, appSecret, verifyToken: appSecret },
      senders: Object.fromEntries(senders.map(withToken)),
    },
  };
}
