// Run as a process of its own by a test that kills it: Meta's webhook on a real server, with the opt-outs of a folder.
// Prints its address, and each call that it answered with 200.

import { createConsentWords } from "../../engine/consent/stop-words.ts";
import { openOptOuts } from "../../engine/consent/lmdb-opt-outs.ts";
import { createWhatsAppWebhookRoutes } from "../../engine/ingress/status-webhook.ts";
import { startUwsServer } from "../../engine/ingress/uws-server.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { parseNotification } from "../../engine/whatsapp/notification.ts";
import { recordedLog } from "../support/shared-map-nodes.ts";
import { sceneOf } from "./signals.ts";

const [path = "", secret = ""] = process.argv.slice(2);
const { book } = sceneOf(openOptOuts({ path }));
const wordOf = createConsentWords({ extraStopWords: [], extraResumeWords: [], ignoredWords: [] });
const routes = createWhatsAppWebhookRoutes({
  appSecrets: () => [secret],
  verifyToken: () => "",
  parse: (text) => parseNotification(text, wordOf),
  commit: { hasRoom: () => true, submitUpdates: () => false },
  hearConsents: (consents, people) => book.hear(consents, people),
  onNotification: () => undefined,
  onRefused: () => undefined,
  random: () => 0,
});
const server = await startUwsServer({ host: "127.0.0.1", port: 0, routes, log: recordedLog(), clock: systemClock });
process.stdout.write(`http://127.0.0.1:${server.port}/webhooks/whatsapp\n`);
