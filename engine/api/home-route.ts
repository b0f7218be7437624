// What a browser finds at the engine's address until the console is built: that it runs, and where to go on.

import type { Route } from "../runtime/http.ts";

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Volley</title>
<meta name="viewport" content="width=device-width">
<h1>Volley is running</h1>
<p>The console is not built yet. Until it is, operators use the command line and the API:</p>
<pre>
npx volley doctor              is everything as it should be?
npx volley campaign list       campaigns, their status and faults
npx volley export CAMPAIGN     the log of a campaign as CSV
npx volley --help              all commands
</pre>
<p><a href="healthz">healthz</a> · <a href="readyz">readyz</a></p>
</html>
`;

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": "default-src 'none'",
  "x-content-type-options": "nosniff",
};

export const homeRoute: Route = {
  method: "get",
  pattern: "/",
  bodyBytesMax: 0,
  handle: (_request, reply) => reply.send({ status: 200, headers: HEADERS, body: PAGE }),
};
