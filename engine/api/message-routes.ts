// Messages: search, one message with its timeline, CSV export, replay of failed ones.

import { isMessageId } from "../message/ids.ts";
import { json, problem, type HttpReply, type HttpRequest, type HttpResponse, type Route } from "../runtime/http.ts";
import {
  answerRoute,
  campaignNotFound,
  coversCampaign,
  firstParam,
  needAdmin,
  needAnyRead,
  needReadOfCampaign,
  withCampaign,
  type Allowed,
} from "./answer-route.ts";
import { invalidQuery, parseExportQuery, parseSearchQuery, parseTime } from "./message-query.ts";
import { messageListJson } from "./message-json.ts";
import { messageViewWithTimeline } from "./message-view.ts";
import type { CampaignEntry, CsvSink, MessageFilter, OperatorsApiDeps } from "./operators-api-deps.ts";
import { compileBody, invalidBody, NO_BODY_BYTES_MAX, type RequestFault } from "./request-body.ts";

type MessageRouteDeps = Pick<OperatorsApiDeps, "authorise" | "campaigns" | "messages" | "onExportBroken">;

interface ReplayBody {
  readonly status?: "failed";
  readonly errorCode?: number | null;
  readonly maxPerSecond?: number | null;
  readonly from?: string | null;
  readonly to?: string | null;
}

const readReplayBody = compileBody<ReplayBody>({
  type: "object",
  additionalProperties: false,
  properties: {
    status: { enum: ["failed"] },
    errorCode: { type: ["integer", "null"] },
    maxPerSecond: { type: ["number", "null"], exclusiveMinimum: 0, maximum: 1_000 },
    from: { type: ["string", "null"] },
    to: { type: ["string", "null"] },
  },
});

export function messageRoutes(deps: MessageRouteDeps): Route[] {
  return [
    answerRoute(deps, {
      method: "get",
      pattern: "/api/campaigns/:campaignId/messages",
      need: needReadOfCampaign,
      answer: (request) => withCampaign(deps, request, (campaign) => searchMessages(deps, request, campaign)),
    }),
    answerRoute(deps, {
      method: "get",
      pattern: "/api/messages/:messageId",
      need: needAnyRead,
      answer: (request, access) => findMessage(deps, firstParam(request), access),
    }),
    {
      method: "get",
      pattern: "/api/campaigns/:campaignId/messages.csv",
      bodyBytesMax: NO_BODY_BYTES_MAX,
      handle: (request, reply) => exportMessages(deps, request, reply),
    },
    answerRoute(deps, {
      method: "post",
      pattern: "/api/campaigns/:campaignId/replay",
      bodyBytesMax: NO_BODY_BYTES_MAX,
      need: needAdmin,
      answer: (request) => withCampaign(deps, request, (campaign) => replayMessages(deps, request, campaign)),
    }),
  ];
}

async function searchMessages(
  deps: MessageRouteDeps,
  request: HttpRequest,
  campaign: CampaignEntry,
): Promise<HttpResponse> {
  const parsed = parseSearchQuery(request.query);
  if (parsed.kind === "refused") return parsed.response;
  const page = await deps.messages.search({ ...parsed.query, campaign });
  if (page.kind === "invalid_cursor") {
    return invalidQuery([{ parameter: "cursor", message: "cursor is not one that this search handed out." }]);
  }
  const headers = { "content-type": "application/json" };
  return { status: 200, headers, body: messageListJson(page.records, page.cursor) };
}

async function findMessage(deps: MessageRouteDeps, messageId: string, access: Allowed): Promise<HttpResponse> {
  const record = isMessageId(messageId) ? await deps.messages.find(messageId) : undefined;
  // A message of a campaign outside the key's reach looks the same as none: ids must not be probed.
  if (record === undefined || !coversCampaign(access, record.campaignId)) {
    const detail = `There is no message ${JSON.stringify(messageId)}.`;
    return problem({ status: 404, code: "message_not_found", detail });
  }
  return json(200, messageViewWithTimeline(record));
}

async function exportMessages(deps: MessageRouteDeps, request: HttpRequest, reply: HttpReply): Promise<void> {
  const access = deps.authorise(request, needReadOfCampaign(request));
  if (access.kind === "refused") return reply.send(access.response);
  const campaign = deps.campaigns.get(firstParam(request));
  if (campaign === undefined) return reply.send(campaignNotFound(firstParam(request)));
  const parsed = parseExportQuery(request.query);
  if (parsed.kind === "refused") return reply.send(parsed.response);
  await streamCsv(deps, { ...parsed.query, campaign }, reply);
}

/**
 * The head leaves with the first chunk, so that an export that fails at once still gets an honest 500. One that
 * fails later must not end its stream: only an answer without its last chunk tells the client that rows are missing.
 */
async function streamCsv(
  deps: MessageRouteDeps,
  query: MessageFilter & { readonly campaign: CampaignEntry },
  reply: HttpReply,
): Promise<void> {
  const { id } = query.campaign.definition;
  let stream: ReturnType<HttpReply["stream"]> | null = null;
  const begin = (): ReturnType<HttpReply["stream"]> => (stream ??= reply.stream(csvHead(id)));
  const sink: CsvSink = { write: (chunk) => begin().write(chunk) };
  try {
    await deps.messages.exportCsv(query, sink);
  } catch (error) {
    deps.onExportBroken(id, error);
    if (stream === null) {
      reply.send(
        problem({
          status: 500,
          code: "export_failed",
          detail: "The export failed; the log says why.",
        }),
      );
      return;
    }
    throw error;
  }
  begin().end();
}

function csvHead(campaignId: string): { status: number; headers: Record<string, string> } {
  return {
    status: 200,
    headers: {
      "content-type": "text/csv; charset=utf-8",
      "content-disposition": `attachment; filename="${campaignId}.csv"`,
      "cache-control": "no-store",
    },
  };
}

async function replayMessages(
  deps: MessageRouteDeps,
  request: HttpRequest,
  campaign: CampaignEntry,
): Promise<HttpResponse> {
  const body = readReplayBody(request);
  if (body.kind === "refused") return body.response;
  const faults: RequestFault[] = [];
  const fromMs = bodyTime(body.value.from, "from", faults);
  const toMs = bodyTime(body.value.to, "to", faults);
  if (faults.length > 0) return invalidBody(faults);
  const { requeued } = await deps.messages.replay({
    campaign,
    status: "failed",
    errorCode: body.value.errorCode ?? null,
    maxPerSecond: body.value.maxPerSecond ?? null,
    fromMs,
    toMs,
  });
  return json(202, { status: "accepted", requeued });
}

function bodyTime(text: string | null | undefined, name: string, faults: RequestFault[]): number | null {
  if (text === undefined || text === null) return null;
  const atMs = parseTime(text);
  if (atMs === null) {
    const message = `${name} must be a time such as 2026-11-23 or 2026-11-23T10:00:00Z.`;
    faults.push({ pointer: `/${name}`, code: "invalid_format", message });
  }
  return atMs;
}
