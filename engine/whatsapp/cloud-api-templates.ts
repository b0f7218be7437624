// The templates of one WhatsApp Business account, read page by page.

import type { TemplateComponent, WhatsAppTemplate } from "../message/template.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import type { ManagementCalls } from "./cloud-api-management.ts";
import { asList, asObject, asText } from "./foreign-json.ts";
import type { ForeignObject } from "./foreign-json.ts";

export interface TemplateListOptions {
  readonly calls: Pick<ManagementCalls, "get">;
  readonly wabaId: string;
  readonly accessToken: string;
}

/** Asked for by name: Meta's default answer leaves out `parameter_format` in some versions. */
const FIELDS =
  "id,name,language,status,category,parameter_format,components,sub_category,previous_category,correct_category," +
  "quality_score,rejected_reason,message_send_ttl_seconds";
const PAGE_SIZE = 100;
/** 10,000 templates; Meta allows an account 6,000. */
export const PAGES_MAX = 100;

/**
 * Lists all templates of an account, whatever their status.
 * @throws EngineError ERR_WHATSAPP_TEMPLATES with a sentence for the operator when any page cannot be read: half a
 * list would look like deleted templates.
 */
export async function listTemplates(options: TemplateListOptions): Promise<WhatsAppTemplate[]> {
  const templates: WhatsAppTemplate[] = [];
  let after = "";
  for (let page = 0; page < PAGES_MAX; page++) {
    const body = await readPage(options, after);
    for (const item of asList(body["data"])) {
      const template = templateOf(item);
      if (template !== null) templates.push(template);
    }
    const paging = asObject(body["paging"]);
    const next = asText(asObject(paging?.["cursors"])?.["after"]);
    if (asText(paging?.["next"]) === "" || next === "" || next === after) return templates;
    after = next;
  }
  throw listFailed(options, `it has more than ${PAGES_MAX * PAGE_SIZE} templates`);
}

/** Only the mark is taken from the answer, never its `next` address: the token goes to no host but ours. */
async function readPage(options: TemplateListOptions, after: string): Promise<ForeignObject> {
  const { calls, wabaId, accessToken } = options;
  const mark: Record<string, string> = after === "" ? {} : { after };
  const query = { fields: FIELDS, limit: String(PAGE_SIZE), ...mark };
  const body = await calls.get({ wabaId, accessToken, path: `${wabaId}/message_templates`, query }).catch((error) => {
    throw listFailed(options, messageOf(error), error);
  });
  if (!Array.isArray(body["data"])) throw listFailed(options, "the answer (HTTP 200) is not a list of templates");
  return body;
}

/** @returns null for an entry that could never be sent by name. */
function templateOf(value: unknown): WhatsAppTemplate | null {
  const item = asObject(value);
  const name = asText(item?.["name"]);
  const language = asText(item?.["language"]);
  if (item === null || name === "" || language === "") return null;
  const id = asText(item["id"]);
  const { id: _id, ...fields } = item;
  return {
    ...fields,
    ...(id === "" ? {} : { id }),
    name,
    language,
    status: asText(item["status"]),
    category: asText(item["category"]),
    components: asList(item["components"]).filter(isComponent),
  };
}

function isComponent(value: unknown): value is TemplateComponent {
  return typeof asObject(value)?.["type"] === "string";
}

function listFailed(options: TemplateListOptions, cause: string, error?: unknown): EngineError {
  const account = `WhatsApp Business account ${options.wabaId}`;
  return new EngineError("ERR_WHATSAPP_TEMPLATES", `Templates of ${account} cannot be read: ${cause}`, {
    cause: error,
  });
}
