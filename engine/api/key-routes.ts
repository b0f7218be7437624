// API keys: create (shown once), list, revoke.

import { json, problem, type HttpRequest, type HttpResponse, type Route } from "../runtime/http.ts";
import { answerRoute, firstParam, list, needAdmin } from "./answer-route.ts";
import { isoTime } from "./message-view.ts";
import { KEY_SCOPES, type KeyScope, type KeyView, type OperatorsApiDeps } from "./operators-api-deps.ts";
import { BODY_BYTES_MAX, compileBody, invalidBody, type RequestFault } from "./request-body.ts";

type KeyRouteDeps = Pick<OperatorsApiDeps, "authorise" | "keys">;

interface KeyBody {
  readonly name: string;
  readonly scope: KeyScope;
  readonly campaigns?: readonly string[] | null;
}

const KEY_CAMPAIGNS_MAX = 1_000;

const readKeyBody = compileBody<KeyBody>({
  type: "object",
  additionalProperties: false,
  required: ["name", "scope"],
  properties: {
    name: { type: "string", minLength: 1, maxLength: 100 },
    scope: { enum: [...KEY_SCOPES] },
    campaigns: {
      type: ["array", "null"],
      minItems: 1,
      maxItems: KEY_CAMPAIGNS_MAX,
      uniqueItems: true,
      items: { type: "string", minLength: 1, maxLength: 200 },
    },
  },
});

/** Promised to few, able to do everything: such a key would be trusted with less than it can do. */
const ADMIN_OF_SOME: RequestFault = {
  pointer: "/campaigns",
  code: "invalid_format",
  message:
    "campaigns cannot narrow an admin key, which covers everything: leave it out, or make a read or trigger key.",
};

export function keyRoutes(deps: KeyRouteDeps): Route[] {
  return [
    answerRoute(deps, {
      method: "get",
      pattern: "/api/keys",
      need: needAdmin,
      answer: () => list(deps.keys.list().map(shownKey)),
    }),
    answerRoute(deps, {
      method: "post",
      pattern: "/api/keys",
      bodyBytesMax: BODY_BYTES_MAX,
      need: needAdmin,
      answer: (request) => createKey(deps, request),
    }),
    answerRoute(deps, {
      method: "delete",
      pattern: "/api/keys/:keyId",
      need: needAdmin,
      async answer(request) {
        if (await deps.keys.revoke(firstParam(request))) return { status: 204 };
        const detail = `There is no key ${JSON.stringify(firstParam(request))}.`;
        return problem({ status: 404, code: "key_not_found", detail });
      },
    }),
  ];
}

async function createKey(deps: KeyRouteDeps, request: HttpRequest): Promise<HttpResponse> {
  const body = readKeyBody(request);
  if (body.kind === "refused") return body.response;
  const { name, scope, campaigns } = body.value;
  if (scope === "admin" && Array.isArray(campaigns)) return invalidBody([ADMIN_OF_SOME]);
  const created = await deps.keys.create({ name, scope, campaigns: campaigns ?? null });
  // A key is a secret: neither a proxy nor a browser may keep this answer.
  return json(
    201,
    {
      id: created.id,
      key: created.key,
      name: created.name,
      scope: created.scope,
      campaigns: created.campaigns,
    },
    { "cache-control": "no-store" },
  );
}

function shownKey(key: KeyView): Record<string, unknown> {
  return {
    id: key.id,
    name: key.name,
    scope: key.scope,
    campaigns: key.campaigns,
    createdAt: isoTime(key.createdAtMs),
    lastUsedAt: isoTime(key.lastUsedAtMs),
    revokedAt: isoTime(key.revokedAtMs),
  };
}
