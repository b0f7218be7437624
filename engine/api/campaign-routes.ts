// Campaigns: list, show, put, delete, activate, pause, figures.

import type { CampaignFault, CampaignStatus } from "../message/campaign.ts";
import { json, problem, type HttpRequest, type HttpResponse, type Route } from "../runtime/http.ts";
import {
  answerRoute,
  campaignNotFound,
  coversCampaign,
  firstParam,
  list,
  needAdmin,
  needAnyRead,
  needReadOfCampaign,
  withCampaign,
} from "./answer-route.ts";
import { campaignStats } from "./campaign-stats.ts";
import { campaignView, completeBody } from "./campaign-view.ts";
import type { CampaignChange, CampaignEntry, OperatorsApiDeps } from "./operators-api-deps.ts";
import { BODY_BYTES_MAX, readJsonBody } from "./request-body.ts";

type CampaignRouteDeps = Pick<OperatorsApiDeps, "authorise" | "campaigns" | "stats" | "nowMs">;

export function campaignRoutes(deps: CampaignRouteDeps): Route[] {
  return [...readingRoutes(deps), ...changingRoutes(deps)];
}

function readingRoutes(deps: CampaignRouteDeps): Route[] {
  return [
    answerRoute(deps, {
      method: "get",
      pattern: "/api/campaigns",
      need: needAnyRead,
      answer(_request, access) {
        const visible = deps.campaigns.list().filter((entry) => coversCampaign(access, entry.definition.id));
        return list(visible.map((entry) => campaignView(entry, access.isAdmin)));
      },
    }),
    answerRoute(deps, {
      method: "get",
      pattern: "/api/campaigns/:campaignId",
      need: needReadOfCampaign,
      answer: (request, access) =>
        withCampaign(deps, request, (entry) => json(200, campaignView(entry, access.isAdmin))),
    }),
    answerRoute(deps, {
      method: "get",
      pattern: "/api/campaigns/:campaignId/stats",
      need: needReadOfCampaign,
      answer: (request) =>
        withCampaign(deps, request, (entry) => json(200, campaignStats(entry, deps.stats(entry), deps.nowMs()))),
    }),
  ];
}

function changingRoutes(deps: CampaignRouteDeps): Route[] {
  return [
    answerRoute(deps, {
      method: "put",
      pattern: "/api/campaigns/:campaignId",
      bodyBytesMax: BODY_BYTES_MAX,
      need: needAdmin,
      answer: (request) => putCampaign(deps, request),
    }),
    answerRoute(deps, {
      method: "delete",
      pattern: "/api/campaigns/:campaignId",
      need: needAdmin,
      async answer(request) {
        const change = await deps.campaigns.remove(firstParam(request));
        return changeResponse(change, firstParam(request), () => ({ status: 204 }));
      },
    }),
    statusRoute(deps, "activate", "active"),
    statusRoute(deps, "pause", "paused"),
  ];
}

function statusRoute(deps: CampaignRouteDeps, verb: string, status: CampaignStatus): Route {
  return answerRoute(deps, {
    method: "post",
    pattern: `/api/campaigns/:campaignId/${verb}`,
    need: needAdmin,
    async answer(request) {
      const change = await deps.campaigns.setStatus(firstParam(request), status);
      return changeResponse(change, firstParam(request), (entry) => json(200, campaignView(entry, true)));
    },
  });
}

async function putCampaign(deps: CampaignRouteDeps, request: HttpRequest): Promise<HttpResponse> {
  const id = firstParam(request);
  const body = readJsonBody(request);
  if (body.kind === "refused") return body.response;
  const complete = completeBody(body.value, id, deps.campaigns.get(id)?.definition);
  if (complete.kind === "faults") return invalidCampaign(id, complete.faults);
  const checked = deps.campaigns.checkCampaign(complete.body);
  if (checked.kind === "invalid") return invalidCampaign(id, checked.faults);
  const result = await deps.campaigns.put(checked.definition);
  switch (result.kind) {
    case "stored":
      return json(result.isNew ? 201 : 200, campaignView(result.entry, true));
    case "refused":
      return invalidCampaign(id, result.faults);
    case "managed_by_file":
      return managedByFile(id);
  }
}

function changeResponse(
  change: CampaignChange,
  id: string,
  changed: (entry: CampaignEntry) => HttpResponse,
): HttpResponse {
  switch (change.kind) {
    case "changed":
      return changed(change.entry);
    case "refused":
      return invalidCampaign(id, change.faults);
    case "managed_by_file":
      return managedByFile(id);
    case "not_found":
      return campaignNotFound(id);
  }
}

function invalidCampaign(id: string, faults: readonly CampaignFault[]): HttpResponse {
  const count = faults.length === 1 ? "1 fault" : `${faults.length} faults`;
  return problem({
    status: 422,
    code: "invalid_campaign",
    detail: `Campaign ${id} has ${count} and would not work as it is.`,
    more: { errors: faults.map(({ path, message }) => ({ path, message })) },
  });
}

function managedByFile(id: string): HttpResponse {
  const detail = `Campaign ${id} comes from a file: edit or remove campaigns/${id}.yaml beside the configuration; it applies within a second.`;
  return problem({ status: 409, code: "managed_by_file", detail });
}
