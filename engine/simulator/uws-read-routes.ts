// The Graph API's reads: an account's templates, a number's properties; and its answer to any other path.

import type { HttpRequest, HttpResponse, TemplatedApp } from "uWebSockets.js";

import type { WhatsAppTemplate } from "../message/template.ts";
import { errorBody, httpStatusOf, type GraphFault } from "./graph-error.ts";
import { describeNumber, listTemplates, type GraphReading } from "./graph-reads.ts";
import { unknownObject, type SendDesk } from "./send-desk.ts";
import { JSON_TYPE, UwsExchange } from "./uws-exchange.ts";

export interface ReadTarget {
  readonly desk: SendDesk;
  templates(): readonly WhatsAppTemplate[];
}

interface Read {
  readonly id: string;
  readonly query: URLSearchParams;
  /** Of the resource, without query. */
  readonly url: string;
}

export function addReadRoutes(app: TemplatedApp, target: ReadTarget): void {
  const { desk } = target;
  const read = (response: HttpResponse, request: HttpRequest, find: (read: Read) => GraphReading): void => {
    const exchange = new UwsExchange(response, request.getParameter(0) ?? "");
    const query = new URLSearchParams(request.getQuery());
    const token = query.get("access_token");
    const fault = desk.tokenFault(token === null ? request.getHeader("authorization") : `Bearer ${token}`);
    if (fault !== null) return refuse(exchange, desk, fault);
    const url = `http://${request.getHeader("host")}${request.getUrl()}`;
    const reading = find({ id: request.getParameter(1) ?? "", query, url });
    if (reading.kind === "refused") return refuse(exchange, desk, reading.fault);
    exchange.answer({ status: 200, contentType: JSON_TYPE, body: JSON.stringify(reading.body) });
  };
  app
    .get("/:version/:id/message_templates", (response, request) =>
      read(response, request, ({ id, query, url }) =>
        desk.hasAccount(id) ? listTemplates(target.templates(), query, url) : notFound(id),
      ),
    )
    .get("/:version/:id", (response, request) =>
      read(response, request, ({ id, query }) => {
        const number = desk.number(id);
        if (number === undefined) return notFound(id);
        return { kind: "found", body: describeNumber(number, number.messagesPerSecond, query) };
      }),
    )
    .any("/*", (response, request) => {
      const fault = { code: 2500, message: `Unknown path components: ${request.getUrl()}` };
      refuse(new UwsExchange(response, ""), desk, fault);
    });
}

function refuse(exchange: UwsExchange, desk: SendDesk, fault: GraphFault): void {
  const body = errorBody(fault, desk.traceId());
  exchange.answer({ status: httpStatusOf(fault.code), contentType: JSON_TYPE, body });
}

function notFound(id: string): GraphReading {
  return { kind: "refused", fault: unknownObject("get", id) };
}
