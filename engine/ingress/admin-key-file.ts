// `<dataDir>/admin.key`: the key with which the CLI on the same host works.

import { chmodSync, existsSync, readFileSync } from "node:fs";

import { writeDurably } from "../runtime/durable-file.ts";
import type { KeyFile } from "./key-book.ts";

const OWNER_ONLY = 0o600;

export const adminKeyFile: KeyFile = {
  read: (path) => {
    if (!existsSync(path)) return "";
    chmodSync(path, OWNER_ONLY);
    return readFileSync(path, "utf8").trim();
  },
  write: (path, key) => writeDurably(path, `${key}\n`),
};
