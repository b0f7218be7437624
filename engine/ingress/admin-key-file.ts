// `<dataDir>/admin.key`: the key with which the CLI on the same host works.

import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";

import type { KeyFile } from "./key-book.ts";

const OWNER_ONLY = 0o600;

export const adminKeyFile: KeyFile = {
  read: (path) => {
    if (!existsSync(path)) return "";
    chmodSync(path, OWNER_ONLY);
    return readFileSync(path, "utf8").trim();
  },
  write: (path, key) => {
    const draft = `${path}.new`;
    writeFileSync(draft, `${key}\n`, { mode: OWNER_ONLY });
    renameSync(draft, path);
  },
};
