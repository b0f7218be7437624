#!/usr/bin/env node
// The command `volley` in a checkout: makes sure that the project is installed and built, then hands over.

import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { findNatsServer } from "./nats-server.mjs";
import { prepareProject, root } from "./prepare-project.mjs";

prepareProject();
// The demo with JetStream needs a server of its own; a fresh machine has none.
if (process.argv[2] === "demo" && process.argv.includes("jetstream")) {
  const { path } = findNatsServer();
  if (path !== null) process.env["VOLLEY_NATS_SERVER"] = path;
}
await import(pathToFileURL(join(root, "dist", "engine", "cli", "main.js")).href);
