// A folder with a configuration of its own, for tests that run a whole engine.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import type { WhatsAppTemplate } from "../../engine/message/template.ts";
import { stringify } from "yaml";

import { freePort } from "./free-port.ts";

export const APP_SECRET = "test-app-secret";
export const ACCESS_TOKEN = "test-access-token";
export const PHONE_NUMBER_ID = "106540352242922";
export const WABA_ID = "102290129340398";

export interface Workspace {
  readonly folder: string;
  readonly configFile: string;
  readonly dataDir: string;
  readonly port: number;
  readonly url: string;
  writeCampaign(campaign: { readonly id: string } & Record<string, unknown>): void;
  remove(): void;
}

export interface WorkspaceOptions {
  readonly whatsappUrl: string;
  readonly messagesPerSecond?: number;
  readonly senders?: Readonly<Record<string, WorkspaceSender>>;
  readonly limits?: { readonly triggersPerSecondPerKey?: number; readonly backlogMax?: number };
  readonly workers?: number;
  /** As in the configuration. Default: the embedded stream. */
  readonly stream?: Readonly<Record<string, unknown>>;
  /** Default: a folder in the workspace. Not removed with it when it lies elsewhere. */
  readonly dataDir?: string;
  readonly campaigns: readonly ({ readonly id: string } & Record<string, unknown>)[];
  readonly templates?: readonly WhatsAppTemplate[];
  /** Changes volley.yaml before it is written. */
  change?(config: WorkspaceConfig, folder: string): void;
}

/** What volley.yaml holds; what a test may want to change is not read-only. */
export interface WorkspaceConfig {
  consent?: Readonly<Record<string, unknown>>;
  readonly senders: Record<string, Record<string, unknown>>;
  readonly [section: string]: unknown;
}

export interface WorkspaceSender {
  readonly phoneNumberId: string;
  readonly messagesPerSecond: number;
  readonly pairLimit?: { readonly periodSeconds: number; readonly burst: number };
  /** Default: that of all tests, like the token. */
  readonly wabaId?: string;
  readonly accessToken?: string;
  /** WhatsApp does not know the number. */
  readonly isUnknown?: boolean;
}

const DEFAULT_ACCOUNT = { wabaId: WABA_ID, accessToken: ACCESS_TOKEN };

/** One body, two variables: enough for most tests. */
export const GREETING: WhatsAppTemplate = {
  id: "2000000000000001",
  name: "greeting",
  language: "en_US",
  status: "APPROVED",
  category: "UTILITY",
  parameter_format: "POSITIONAL",
  components: [
    {
      type: "BODY",
      text: "Hello {{1}}, your order {{2}} is on its way.",
      example: { body_text: [["Ana", "#7"]] },
    },
  ],
};

export const OFFER: WhatsAppTemplate = {
  ...GREETING,
  id: "2000000000000002",
  name: "offer",
  category: "MARKETING",
};

export function greetingCampaign(id: string, more: Readonly<Record<string, unknown>> = {}): { id: string } {
  const lane = more["lane"] ?? "transactional";
  return {
    id,
    sender: "main",
    status: "active",
    trigger: {
      dedupe: { header: "X-Delivery-Id" },
      attributes: {
        phoneNumber: { path: "phone", type: "phone", required: true, defaultRegion: "US" },
        firstName: { path: "first_name", type: "string", default: "there" },
        orderName: { path: "order", type: "string", required: true },
      },
    },
    template: {
      name: lane === "marketing" ? OFFER.name : GREETING.name,
      language: "en_US",
      body: ["{{ firstName }}", "{{ orderName }}"],
    },
    ...more,
  } as { id: string };
}

export async function createWorkspace(options: WorkspaceOptions): Promise<Workspace> {
  const folder = mkdtempSync(join(tmpdir(), "volley-test-"));
  const port = await freePort();
  const dataDir = options.dataDir ?? join(folder, "data");
  const configFile = join(folder, "volley.yaml");
  mkdirSync(join(folder, "campaigns"));
  mkdirSync(join(folder, "templates"));
  const senders = options.senders ?? {
    main: { phoneNumberId: PHONE_NUMBER_ID, messagesPerSecond: options.messagesPerSecond ?? 1000 },
  };
  const config: WorkspaceConfig = {
    server: { host: "127.0.0.1", port },
    dataDir,
    workers: options.workers ?? 1,
    ...(options.stream === undefined ? {} : { stream: options.stream }),
    whatsapp: { baseUrl: options.whatsappUrl, apiVersion: "v26.0", appSecret: APP_SECRET, verifyToken: "verify-me" },
    senders: Object.fromEntries(
      Object.entries(senders).map(([id, sender]) => [id, { ...DEFAULT_ACCOUNT, ...sender, isUnknown: undefined }]),
    ),
    limits: { triggersPerSecondPerKey: 1_000_000, backlogMax: 1_000_000, ...options.limits },
  };
  options.change?.(config, folder);
  writeFileSync(configFile, stringify(config));
  for (const template of options.templates ?? [GREETING, OFFER]) {
    writeFileSync(join(folder, "templates", `${template.name}.${template.language}.json`), JSON.stringify(template));
  }
  const workspace: Workspace = {
    folder,
    configFile,
    dataDir,
    port,
    url: `http://127.0.0.1:${port}`,
    writeCampaign: (campaign) => writeFileSync(join(folder, "campaigns", `${campaign.id}.yaml`), stringify(campaign)),
    remove: () => {
      // To look at what a failed test left behind.
      if (process.env["VOLLEY_KEEP"] === "1") return;
      rmSync(folder, { recursive: true, force: true });
      rmSync(`${folder}.log`, { force: true });
    },
  };
  for (const campaign of options.campaigns) workspace.writeCampaign(campaign);
  return workspace;
}
