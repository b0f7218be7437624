// Which of the Cloud API's two doors a campaign's messages take, learned from what Meta turns away at the wrong one.
//
// An account may have marketing disabled on the ordinary door (131063): then all marketing of the number takes the
// other one, which in turn turns away what it takes for no marketing, or does not know yet (131055, 134100, 134102):
// then this template takes the ordinary door. Forgotten with the process: one message a template finds it out again.

import type { SendRoute } from "../message/verdict.ts";
import type { CampaignSettings } from "./sender-messages.ts";

const MARKETING = "MARKETING";

export interface SendRoutes {
  marketing: SendRoute;
  /** By template key; goes before what holds for marketing. */
  readonly templates: Map<string, SendRoute>;
  /** By door: the templates that it has turned away since a message of theirs was taken. */
  readonly turnedAway: Readonly<Record<SendRoute, Set<string>>>;
}

export function createSendRoutes(): SendRoutes {
  const turnedAway = { messages: new Set<string>(), marketing_messages: new Set<string>() };
  return { marketing: "messages", templates: new Map(), turnedAway };
}

export function routeOf(routes: SendRoutes, campaign: CampaignSettings): SendRoute {
  if (routes.marketing === "messages" && routes.templates.size === 0) return "messages";
  const own = routes.templates.get(campaign.templateKey);
  return own ?? (campaign.category === MARKETING ? routes.marketing : "messages");
}

/**
 * Meta wants messages like this one at the door `route`.
 * @returns false when that door turns the template away as well: there is no way for it then.
 */
export function learnRoute(routes: SendRoutes, campaign: CampaignSettings, route: SendRoute): boolean {
  const { templates, turnedAway } = routes;
  const { templateKey } = campaign;
  turnedAway[route === "messages" ? "marketing_messages" : "messages"].add(templateKey);
  templates.delete(templateKey);
  if (route === "marketing_messages") routes.marketing = route;
  // Back to the ordinary door goes one template; and Meta may take for marketing what has another category here.
  if (routeOf(routes, campaign) !== route) templates.set(templateKey, route);
  return !turnedAway[route].has(templateKey);
}

/** A message of the template was taken. */
export function routeTook({ turnedAway }: SendRoutes, templateKey: string): void {
  if (turnedAway.messages.size > 0) turnedAway.messages.delete(templateKey);
  if (turnedAway.marketing_messages.size > 0) turnedAway.marketing_messages.delete(templateKey);
}
