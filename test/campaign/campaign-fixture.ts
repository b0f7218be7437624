// Campaigns and templates for the tests of this folder, in the shapes that operators write and Meta returns.

import assert from "node:assert/strict";

import type {
  AttributeDefinition,
  CampaignDefinition,
  TemplateUse,
  TriggerDefinition,
} from "../../engine/message/campaign.ts";
import type { TemplateComponent, WhatsAppTemplate } from "../../engine/message/template.ts";
import { compileCampaign } from "../../engine/campaign/compiled-campaign.ts";
import type { CompiledCampaign } from "../../engine/campaign/compiled-campaign.ts";
import type { Rendering } from "../../engine/campaign/template-renderer.ts";

export const ORDER_ATTRIBUTES: Readonly<Record<string, AttributeDefinition>> = {
  phoneNumber: {
    path: ["phone", "customer.phone", "shipping_address.phone"],
    type: "phone",
    required: true,
    defaultRegion: "US",
    regionPath: "shipping_address.country_code",
  },
  firstName: { path: "customer.first_name", type: "string", default: "there" },
  orderName: { path: "name", type: "string", required: true },
  total: { path: "total_price", type: "string" },
};

export interface CampaignParts {
  readonly attributes?: Readonly<Record<string, AttributeDefinition>>;
  readonly trigger?: Partial<TriggerDefinition>;
  readonly template?: Partial<TemplateUse>;
  readonly lane?: CampaignDefinition["lane"];
}

export function campaignOf(parts: CampaignParts = {}): CampaignDefinition {
  return {
    id: "order-confirmation",
    name: "Order confirmation",
    sender: "main",
    status: "active",
    lane: parts.lane ?? "transactional",
    timeToLiveSeconds: 3600,
    // oxlint-disable-next-line unicorn/no-thenable -- the configuration's own word
    uncertain: { waitSeconds: 600, then: "resend" },
    trigger: {
      auth: { type: "apiKey" },
      attributes: parts.attributes ?? ORDER_ATTRIBUTES,
      ...parts.trigger,
    },
    template: {
      name: "order_confirmation",
      language: "en_US",
      ...parts.template,
    },
  };
}

export interface TemplateParts extends Partial<WhatsAppTemplate> {
  readonly header?: Omit<TemplateComponent, "type">;
  readonly body?: string;
  readonly buttons?: TemplateComponent["buttons"];
}

export function templateOf({ header, body, buttons, ...rest }: TemplateParts = {}): WhatsAppTemplate {
  return {
    id: "1000000000000101",
    name: "order_confirmation",
    language: "en_US",
    status: "APPROVED",
    category: "UTILITY",
    components: [
      ...(header === undefined ? [] : [{ type: "HEADER", ...header }]),
      { type: "BODY", text: body ?? "Hi {{1}}, thank you for order {{2}} of {{3}}." },
      { type: "FOOTER", text: "Reply STOP to opt out" },
      ...(buttons === undefined ? [] : [{ type: "BUTTONS", buttons }]),
    ],
    ...rest,
  };
}

export const ORDER_BODY: readonly string[] = [
  "{{ firstName }}",
  "{{ orderName }}",
  "{{ total | default: 'see your e-mail' }}",
];

export function compiled(definition: CampaignDefinition, template: WhatsAppTemplate): CompiledCampaign {
  const result = compileCampaign(definition, template);
  if (result.kind === "refused") assert.fail(JSON.stringify(result.faults, null, 2));
  return result.campaign;
}

/** The faults as `path: message` lines. */
export function faultsOf(definition: CampaignDefinition, template: WhatsAppTemplate | undefined): string[] {
  const result = compileCampaign(definition, template);
  return result.kind === "refused" ? result.faults.map(({ path, message }) => `${path}: ${message}`) : [];
}

export const MESSAGE_ID = "0000000001abcdefghjk000001";

export function rendered(
  campaign: CompiledCampaign,
  attributes: Readonly<Record<string, string | number | boolean>>,
): Extract<Rendering, { kind: "rendered" }> {
  const rendering = campaign.render({
    messageId: MESSAGE_ID,
    attempt: 1,
    phoneNumber: "+14155552671",
    attributes,
  });
  if (rendering.kind === "unrenderable") assert.fail(rendering.reason);
  return rendering;
}

export function unrenderableReason(
  campaign: CompiledCampaign,
  attributes: Readonly<Record<string, string | number | boolean>>,
): string {
  const rendering = campaign.render({
    messageId: MESSAGE_ID,
    attempt: 1,
    phoneNumber: "+14155552671",
    attributes,
  });
  assert.equal(rendering.kind, "unrenderable", JSON.stringify(rendering));
  return rendering.kind === "unrenderable" ? rendering.reason : "";
}

export interface SentComponent {
  readonly type: string;
  readonly parameters: readonly { readonly text?: string }[];
}

/** The `template.components` of a request body. */
export function componentsOf(request: string): readonly SentComponent[] {
  const body: { template: { components: SentComponent[] } } = JSON.parse(request);
  return body.template.components;
}
