// The templates of one WhatsApp Business account, read page by page. Management calls have their own small hourly
// limit at Meta, shared with every other program of the account, so Bottleneck paces them and bounds their queue.

import Bottleneck from "bottleneck";
import { request } from "undici";

import type { TemplateComponent, WhatsAppTemplate } from "../message/template.ts";
import { EngineError, messageOf } from "../runtime/errors.ts";
import { reasonOf } from "./error-catalogue.ts";
import { asInteger, asList, asObject, asText, parseForeignJson } from "./foreign-json.ts";
import type { ForeignObject } from "./foreign-json.ts";

export interface TemplateListOptions {
  /** Such as `https://graph.facebook.com`, without a trailing slash. */
  readonly baseUrl: string;
  readonly apiVersion: string;
  readonly wabaId: string;
  readonly accessToken: string;
  /** Default: undici. */
  readonly fetchJson?: FetchJson;
}

/** GETs one address. Rejects when no whole answer came. */
export type FetchJson = (url: string, headers: Readonly<Record<string, string>>) => Promise<FetchedJson>;

export interface FetchedJson {
  readonly httpStatus: number;
  /** Undefined when the body is not JSON. */
  readonly json: unknown;
}

/** Asked for by name: Meta's default answer leaves out `parameter_format` in some versions. */
const FIELDS =
  "id,name,language,status,category,parameter_format,components,sub_category,previous_category,correct_category," +
  "quality_score,rejected_reason,message_send_ttl_seconds";
const PAGE_SIZE = 100;
/** 10,000 templates; Meta allows an account 6,000. */
export const PAGES_MAX = 100;
const PAGE_BYTES_MAX = 8 * 1024 * 1024;
const TIMEOUT_MS = 30_000;

/** Meta allows 5,000 calls an hour to an account with a registered number. */
const CALLS_PER_HOUR_MAX = 5000;
const CALLS_QUEUED_MAX = 1000;
const pacing = new Bottleneck.Group({
  maxConcurrent: 1,
  minTime: 10,
  reservoir: CALLS_PER_HOUR_MAX,
  reservoirRefreshAmount: CALLS_PER_HOUR_MAX,
  reservoirRefreshInterval: 3_600_000,
  highWater: CALLS_QUEUED_MAX,
  strategy: Bottleneck.strategy.OVERFLOW,
});

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

async function readPage(options: TemplateListOptions, after: string): Promise<ForeignObject> {
  const { httpStatus, json } = await fetchPaced(options, pageUrl(options, after));
  const body = asObject(json);
  const error = asObject(body?.["error"]);
  if (error !== null) throw listFailed(options, sentenceOf(error));
  if (body === null || httpStatus !== 200 || !Array.isArray(body["data"])) {
    throw listFailed(options, `the answer (HTTP ${httpStatus}) is not a list of templates`);
  }
  return body;
}

async function fetchPaced(options: TemplateListOptions, url: string): Promise<FetchedJson> {
  const fetchJson = options.fetchJson ?? fetchOverHttp;
  const headers = { authorization: `Bearer ${options.accessToken}`, accept: "application/json" };
  try {
    return await pacing.key(`${options.baseUrl} ${options.wabaId}`).schedule(() => fetchJson(url, headers));
  } catch (error) {
    throw listFailed(options, `WhatsApp could not be reached (${messageOf(error)})`, error);
  }
}

/** Only the mark is taken from the answer, never its `next` address: the token goes to no host but ours. */
function pageUrl(options: TemplateListOptions, after: string): string {
  const path = `${encodeURIComponent(options.apiVersion)}/${encodeURIComponent(options.wabaId)}/message_templates`;
  const mark = after === "" ? "" : `&after=${encodeURIComponent(after)}`;
  return `${options.baseUrl}/${path}?fields=${FIELDS}&limit=${PAGE_SIZE}${mark}`;
}

async function fetchOverHttp(url: string, headers: Readonly<Record<string, string>>): Promise<FetchedJson> {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const { statusCode, body } = await request(url, { headers, signal });
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > PAGE_BYTES_MAX) throw new Error(`a page of templates exceeds ${PAGE_BYTES_MAX} bytes`);
    chunks.push(chunk);
  }
  return { httpStatus: statusCode, json: parseForeignJson(Buffer.concat(chunks).toString("utf8")) };
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

function sentenceOf(error: ForeignObject): string {
  const message = asText(error["message"]);
  const code = asInteger(error["code"]);
  return code === null ? message : reasonOf(code, message, asInteger(error["error_subcode"]) ?? undefined);
}

function listFailed(options: TemplateListOptions, cause: string, error?: unknown): EngineError {
  const account = `WhatsApp Business account ${options.wabaId}`;
  return new EngineError("ERR_WHATSAPP_TEMPLATES", `Templates of ${account} cannot be read: ${cause}`, {
    cause: error,
  });
}
