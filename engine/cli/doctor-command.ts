// volley doctor: what keeps messages from flowing, from the configuration to Meta's webhook, and what to do about it.

import type { CampaignView } from "../api/campaign-view.ts";
import type { SenderView } from "../api/operators-api-deps.ts";
import { messageOf } from "../runtime/errors.ts";
import { ApiRefusal, createApiClient, type ApiClient } from "./api-client.ts";
import { ENGINE_OPTIONS, JSON_OPTION, type Command, type CommandCall } from "./command.ts";
import type { ConfigReport } from "./config-inspection.ts";
import { CONFIG_FILE, findConnection } from "./connection.ts";

export const doctorCommand: Command = {
  name: "doctor",
  summary: "Find what keeps messages from flowing: configuration, engine, key, senders, campaigns, webhook",
  positionals: [],
  options: { ...ENGINE_OPTIONS, ...JSON_OPTION },
  examples: ["volley doctor", "volley doctor --url http://10.0.0.5:8080 --key vk_…"],
  run: examine,
};

interface Finding {
  readonly subject: string;
  readonly state: "ok" | "warning" | "fault";
  readonly message: string;
  /** What to do; empty when nothing is to be done. */
  readonly advice: string;
}

const MARKS = { ok: "ok  ", warning: "note", fault: "FAIL" } as const;
const CHALLENGE = "volley-doctor";

async function examine(call: CommandCall): Promise<number> {
  const { inspectConfig } = await import("./config-inspection.ts");
  const report = inspectConfig(call.options.text("config") ?? CONFIG_FILE, call.environment);
  const isRemote = (call.options.text("url") ?? call.environment["VOLLEY_URL"]) !== undefined;
  const findings = [...configFindings(report, isRemote), ...(await engineFindings(call, report))];
  const hasFault = findings.some(({ state }) => state === "fault");
  if (call.options.has("json")) {
    call.terminal.print(JSON.stringify({ healthy: !hasFault, items: findings, cursor: null }));
  } else {
    for (const finding of findings) for (const line of findingLines(finding)) call.terminal.print(line);
  }
  return hasFault ? 1 : 0;
}

function findingLines({ subject, state, message, advice }: Finding): string[] {
  const line = `${MARKS[state]}  ${subject.padEnd(14)} ${message}`;
  return advice === "" ? [line] : [line, `${" ".repeat(21)}→ ${advice}`];
}

/** Whoever examines an engine elsewhere need not have its files. */
function configFindings(report: ConfigReport, isRemote: boolean): Finding[] {
  if (report.loaded === null && isRemote) return [];
  const findings = report.errors.map((error) => fault("configuration", error, "volley config check lists every fault"));
  findings.push(...report.warnings.map((text) => warning("configuration", text, "")));
  if (report.errors.length === 0) findings.push(ok("configuration", `${report.file}, ${report.campaigns} campaigns`));
  return findings;
}

async function engineFindings(call: CommandCall, report: ConfigReport): Promise<Finding[]> {
  try {
    const connection = await findConnection(call);
    const client = createApiClient(connection);
    const reached = await readinessFindings(client);
    if (connection.key === null) {
      return [...reached, fault("key", `no key in ${connection.keySource}`, "give one with --key or VOLLEY_API_KEY")];
    }
    return [...reached, ...(await insideFindings(client)), ...(await webhookFindings(client, report))];
  } catch (error) {
    return [fault("engine", messageOf(error), "")];
  }
}

interface Ready {
  readonly whatsapp?: "simulated" | "live";
}

async function readinessFindings(client: ApiClient): Promise<Finding[]> {
  try {
    const { whatsapp } = await client.get<Ready>("/readyz");
    const found = [ok("engine", `ready at ${client.url}`)];
    if (whatsapp !== "simulated") return found;
    const advice = "set the WHATSAPP_… variables that the configuration names, then start again";
    return [...found, warning("whatsapp", "the simulator stands in: nobody gets a message", advice)];
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    return [fault("engine", `not ready at ${client.url}`, "its log says what it waits for")];
  }
}

async function insideFindings(client: ApiClient): Promise<Finding[]> {
  try {
    const senders = await client.get<SenderList>("/api/senders");
    const campaigns = await client.get<{ readonly items: readonly CampaignView[] }>("/api/campaigns");
    return [
      ok("key", "accepted, scope admin"),
      ...(senders.items.length === 0
        ? [fault("senders", "there is none", "add one under senders: in the configuration")]
        : []),
      ...senders.items.flatMap(senderFindings),
      ...unknownCodeFindings(senders.unknownErrorCodes),
      ...campaigns.items.map(campaignFinding),
    ];
  } catch (error) {
    if (!(error instanceof ApiRefusal)) throw error;
    return [fault("key", error.message, "use the key in <dataDir>/admin.key, or one made with --scope admin")];
  }
}

interface SenderList {
  readonly items: readonly SenderView[];
  readonly unknownErrorCodes: Readonly<Record<string, number>>;
}

function senderFindings(sender: SenderView): Finding[] {
  const subject = `sender ${sender.id}`;
  const findings = sender.blocks.map(({ scope, subject: what, reason, errorCode, since, until }) => {
    const whole = what === "" ? scope : `${scope} ${what}`;
    const message = `${whole} blocked since ${since} (${errorCode}): ${reason}`;
    return fault(subject, message, `it is tried again at ${until}; docs/errors-whatsapp.md has what WhatsApp wants`);
  });
  if (findings.length === 0) findings.push(standingFinding(sender));
  return [...findings, ...rateFindings(sender), ...recipientFindings(sender)];
}

function rateFindings({ id, rate, messagesPerSecond }: SenderView): Finding[] {
  const subject = `sender ${id}`;
  const findings: Finding[] = [];
  if (typeof rate.configured === "number" && rate.granted !== null && rate.configured > rate.granted) {
    const message = `messagesPerSecond is ${rate.configured}, but Meta grants the number ${rate.granted}`;
    findings.push(warning(subject, message, "set it to auto, or to what Meta grants"));
  }
  if (rate.now < messagesPerSecond) {
    const message = `WhatsApp calls it too fast: ${rate.now} messages/s for now, of ${messagesPerSecond}`;
    findings.push(warning(subject, message, "it speeds up again by itself; do other programs use the number?"));
  }
  return findings;
}

function recipientFindings({ id, recipients }: SenderView): Finding[] {
  const { used, limit, freesAt, runsOutAt } = recipients;
  if (limit === null || runsOutAt === null) return [];
  const message = `${used} of ${limit} people in 24 hours; at the present pace used up at ${runsOutAt}`;
  const advice = freesAt === null ? "" : `the next place falls free at ${freesAt}; transactional messages go first`;
  return [warning(`sender ${id}`, message, advice)];
}

function unknownCodeFindings(codes: Readonly<Record<string, number>>): Finding[] {
  return Object.entries(codes).map(([code, count]) => {
    const advice = "its messages are tried again like any that may pass; tell us, or look it up at Meta";
    return warning("whatsapp", `answered ${count} times with ${code}, which this release does not know`, advice);
  });
}

function standingFinding(sender: SenderView): Finding {
  const subject = `sender ${sender.id}`;
  if (sender.templates === null) {
    return warning(subject, "its templates were not read yet", "check its access token and wabaId");
  }
  if (sender.templates === 0)
    return fault(subject, "its account has no approved template", "have one approved by Meta");
  const { limit } = sender.recipients;
  const people = limit === null ? "" : `, ${limit} people in 24 hours`;
  return ok(subject, `${sender.messagesPerSecond} messages/s${people}, ${sender.templates} approved templates`);
}

function campaignFinding(campaign: CampaignView): Finding {
  const subject = `campaign ${campaign.id}`;
  if (campaign.parked !== null) {
    const message = `parked since ${campaign.parked.since}: ${campaign.parked.reasons.join("; ")}`;
    const events = campaign.parked.takesEvents ? "what comes meanwhile waits" : "it takes no events meanwhile";
    return warning(subject, message, `it goes on by itself once Meta lets it; ${events}`);
  }
  const [first] = campaign.faults;
  if (first !== undefined)
    return fault(subject, `${first.path}: ${first.message}`, "it takes no events until that is put right");
  if (campaign.status === "paused") return warning(subject, "paused", `volley campaign activate ${campaign.id}`);
  return ok(subject, `active, POST ${campaign.hookPath ?? campaign.triggerPath}`);
}

/** Asks as Meta does when the webhook is subscribed; only possible where the verify token is known. */
async function webhookFindings(client: ApiClient, report: ConfigReport): Promise<Finding[]> {
  const path = "/webhooks/whatsapp";
  const findings: Finding[] = [];
  const verifyToken = report.loaded?.config.whatsapp.verifyToken ?? "";
  if (verifyToken !== "") {
    const query = new URLSearchParams({
      "hub.mode": "subscribe",
      "hub.verify_token": verifyToken,
      "hub.challenge": CHALLENGE,
    });
    const response = await fetch(`${client.url}${path}?${query.toString()}`);
    const isVerified = response.ok && (await response.text()) === CHALLENGE;
    findings.push(
      isVerified
        ? ok("webhook", "answers Meta's verification")
        : fault(
            "webhook",
            `does not answer Meta's verification (${response.status})`,
            "start the engine anew if verifyToken was changed",
          ),
    );
  }
  if (/^http:\/\/(127\.|localhost|\[::1\])/.test(client.url)) {
    const advice = `put a TLS proxy in front and give Meta https://<your host>${path}`;
    findings.push(warning("webhook", "Meta cannot reach a loopback address", advice));
  }
  return findings;
}

function ok(subject: string, message: string): Finding {
  return { subject, state: "ok", message, advice: "" };
}

function warning(subject: string, message: string, advice: string): Finding {
  return { subject, state: "warning", message, advice };
}

function fault(subject: string, message: string, advice: string): Finding {
  return { subject, state: "fault", message, advice };
}
