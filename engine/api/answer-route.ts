// The frame that most handlers share: ask for access first, compute one answer, send it.

import { EngineError } from "../runtime/errors.ts";
import { json, problem, type HttpRequest, type HttpResponse, type Route } from "../runtime/http.ts";
import type { Access, AccessNeed, CampaignEntry, OperatorsApiDeps } from "./operators-api-deps.ts";
import { NO_BODY_BYTES_MAX } from "./request-body.ts";

const PASSING: ReadonlySet<string> = new Set(["ERR_CLUSTER_UNAVAILABLE", "ERR_STORE_WRITE"]);
const RETRY_AFTER_SECONDS = "5";

export type Allowed = Extract<Access, { kind: "allowed" }>;

export interface AnswerRoute {
  readonly method: Route["method"];
  readonly pattern: string;
  readonly bodyBytesMax?: number;
  need(request: HttpRequest): AccessNeed;
  answer(request: HttpRequest, access: Allowed): HttpResponse | Promise<HttpResponse>;
}

export function answerRoute(deps: Pick<OperatorsApiDeps, "authorise">, route: AnswerRoute): Route {
  return {
    method: route.method,
    pattern: route.pattern,
    bodyBytesMax: route.bodyBytesMax ?? NO_BODY_BYTES_MAX,
    async handle(request, reply) {
      const access = deps.authorise(request, route.need(request));
      reply.send(access.kind === "refused" ? access.response : await answered(route, request, access));
    },
  };
}

/** What the engine cannot do now it may do in a moment: nothing has changed then, and callers repeat. */
async function answered(route: AnswerRoute, request: HttpRequest, access: Allowed): Promise<HttpResponse> {
  try {
    return await route.answer(request, access);
  } catch (error) {
    if (!(error instanceof EngineError) || !PASSING.has(error.code)) throw error;
    const detail = `This cannot be done now: ${error.message}.`;
    return problem({ status: 503, code: "overloaded", detail, headers: { "retry-after": RETRY_AFTER_SECONDS } });
  }
}

export function needAdmin(): AccessNeed {
  return { scope: "admin" };
}

/** Reading the campaign that the first part of the path names. */
export function needReadOfCampaign(request: HttpRequest): AccessNeed {
  return { scope: "read", campaignId: firstParam(request) };
}

/** Reading something of whatever campaigns the key covers. */
export function needAnyRead(): AccessNeed {
  return { scope: "read", campaignId: null };
}

export function firstParam(request: HttpRequest): string {
  return request.params[0] ?? "";
}

export function coversCampaign(access: Allowed, campaignId: string): boolean {
  return access.campaigns === null || access.campaigns.includes(campaignId);
}

/** Looks the campaign of the path up; answers 404 in its place when there is none. */
export async function withCampaign(
  deps: Pick<OperatorsApiDeps, "campaigns">,
  request: HttpRequest,
  answer: (campaign: CampaignEntry) => HttpResponse | Promise<HttpResponse>,
): Promise<HttpResponse> {
  const campaign = deps.campaigns.get(firstParam(request));
  return campaign === undefined ? campaignNotFound(firstParam(request)) : await answer(campaign);
}

export function campaignNotFound(id: string): HttpResponse {
  return problem({
    status: 404,
    code: "campaign_not_found",
    detail: `There is no campaign ${JSON.stringify(id)}.`,
  });
}

/** A complete list; the cursor is for clients that page everything alike. */
export function list(items: readonly unknown[], cursor: string | null = null): HttpResponse {
  return json(200, { items, cursor });
}
