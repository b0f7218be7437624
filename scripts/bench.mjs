// `npm run bench:NAME`: makes sure that the project is installed and built, and finds the servers that it measures.

import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { findNatsServer } from "./nats-server.mjs";
import { prepareProject, root } from "./prepare-project.mjs";

const [name = ""] = process.argv.splice(2, 1);
prepareProject();
const { path } = findNatsServer();
if (path !== null) process.env["VOLLEY_NATS_SERVER"] = path;
await import(pathToFileURL(join(root, "dist", "bench", `${name}.js`)).href);
