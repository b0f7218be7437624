// The operators' API: everything the CLI and the console do goes through these routes, and nothing else exists
// for them. Handlers are pure: they see the engine as the functions of OperatorsApiDeps.

import { json, type Route } from "../runtime/http.ts";
import { answerRoute, needAdmin } from "./answer-route.ts";
import { campaignRoutes } from "./campaign-routes.ts";
import { homeRoute } from "./home-route.ts";
import { keyRoutes } from "./key-routes.ts";
import { messageRoutes } from "./message-routes.ts";
import { optOutRoutes } from "./opt-out-routes.ts";
import type { OperatorsApiDeps } from "./operators-api-deps.ts";
import { NO_BODY_BYTES_MAX } from "./request-body.ts";

export function createOperatorsApi(deps: OperatorsApiDeps): Route[] {
  return [
    ...campaignRoutes(deps),
    ...messageRoutes(deps),
    ...keyRoutes(deps),
    ...optOutRoutes(deps),
    ...engineRoutes(deps),
    ...healthRoutes(deps),
    homeRoute,
  ];
}

function engineRoutes(deps: OperatorsApiDeps): Route[] {
  return [
    answerRoute(deps, {
      method: "get",
      pattern: "/api/senders",
      need: needAdmin,
      answer: () => json(200, { items: deps.senders(), cursor: null, unknownErrorCodes: deps.unknownErrorCodes() }),
    }),
    answerRoute(deps, {
      method: "get",
      pattern: "/api/cluster",
      need: needAdmin,
      answer: () => json(200, deps.cluster()),
    }),
  ];
}

/** Open to everyone, as a load balancer has no key: they tell nothing but "up" and "ready". */
function healthRoutes(deps: OperatorsApiDeps): Route[] {
  return [
    {
      method: "get",
      pattern: "/healthz",
      bodyBytesMax: NO_BODY_BYTES_MAX,
      handle: (_request, reply) => reply.send(json(200, { status: "ok" })),
    },
    {
      method: "get",
      pattern: "/readyz",
      bodyBytesMax: NO_BODY_BYTES_MAX,
      handle(_request, reply) {
        const { isReady, reasons, isSimulated } = deps.readiness();
        if (isReady) reply.send(json(200, { status: "ready", whatsapp: isSimulated ? "simulated" : "live" }));
        else reply.send(json(503, { status: "not_ready", reasons }, { "retry-after": "1" }));
      },
    },
  ];
}
