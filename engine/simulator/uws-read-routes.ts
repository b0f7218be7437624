// The Graph API's reads: an account's templates, a number's properties; and its answer to any other path.

import type { HttpRequest, HttpResponse, TemplatedApp } from "uWebSockets.js";

import { errorBody, httpStatusOf, type GraphFault } from "./graph-error.ts";
import { describeNumber, listTemplates, type GraphReading } from "./graph-reads.ts";
import type { ManagementUse } from "./management-limit.ts";
import { unknownObject } from "./send-desk.ts";
import { JSON_TYPE, UwsExchange } from "./uws-exchange.ts";
import type { World } from "./world.ts";

export interface ReadTarget {
  readonly world: World;
  /** One more `fbtrace_id`. */
  traceId(): string;
  /** Takes one call of the account's hour. */
  use(wabaId: string): ManagementUse;
}

interface Read {
  readonly id: string;
  readonly query: URLSearchParams;
  /** Of the resource, without query. */
  readonly url: string;
}

interface Finding {
  /** Of the account that the call counts for. */
  readonly wabaId: string;
  read(): GraphReading;
}

export function addReadRoutes(app: TemplatedApp, target: ReadTarget): void {
  const { world } = target;
  const read = (response: HttpResponse, request: HttpRequest, look: (read: Read) => Finding | null): void => {
    const exchange = new UwsExchange(response, request.getParameter(0) ?? "");
    const query = new URLSearchParams(request.getQuery());
    const token = query.get("access_token");
    const fault = world.tokens.fault(token === null ? request.getHeader("authorization") : `Bearer ${token}`);
    if (fault !== null) return refuse(exchange, target, fault);
    const url = `http://${request.getHeader("host")}${request.getUrl()}`;
    const id = request.getParameter(1) ?? "";
    const finding = look({ id, query, url });
    if (finding === null) return refuse(exchange, target, unknownObject("get", id));
    const use = target.use(finding.wabaId);
    const headers = { "x-business-use-case-usage": use.usage };
    if (!use.isAllowed) return refuse(exchange, target, { code: 80_008 }, headers);
    const reading = finding.read();
    if (reading.kind === "refused") return refuse(exchange, target, reading.fault, headers);
    exchange.answer({ status: 200, contentType: JSON_TYPE, body: JSON.stringify(reading.body), headers });
  };
  app
    .get("/:version/:id/message_templates", (response, request) =>
      read(response, request, ({ id, query, url }) =>
        world.accounts.has(id) ? { wabaId: id, read: () => listTemplates(world.book.templates(), query, url) } : null,
      ),
    )
    .get("/:version/:id", (response, request) =>
      read(response, request, ({ id, query }) => {
        const number = world.numbers.get(id);
        if (number === undefined) return null;
        const body = (): unknown => describeNumber(number, world.dailyRecipients, query);
        return { wabaId: number.wabaId, read: () => ({ kind: "found", body: body() }) };
      }),
    )
    .any("/*", (response, request) => {
      const fault = { code: 2500, message: `Unknown path components: ${request.getUrl()}` };
      refuse(new UwsExchange(response, ""), target, fault);
    });
}

function refuse(
  exchange: UwsExchange,
  target: ReadTarget,
  fault: GraphFault,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = errorBody(fault, target.traceId());
  exchange.answer({ status: httpStatusOf(fault), contentType: JSON_TYPE, body, headers });
}
