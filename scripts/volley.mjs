#!/usr/bin/env node
// The command `volley` in a checkout: makes sure that the project is installed and built, then hands over.

import { join } from "node:path";
import { pathToFileURL } from "node:url";

import { prepareProject, root } from "./prepare-project.mjs";

prepareProject();
await import(pathToFileURL(join(root, "dist", "engine", "cli", "main.js")).href);
