// A folder of configuration files for one test, gone afterwards.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

export interface SettingsFolder {
  readonly path: string;
  /** @returns the file's path. */
  write(name: string, text: string): string;
}

export function settingsFolder(context: TestContext): SettingsFolder {
  const path = mkdtempSync(join(tmpdir(), "volley-settings-"));
  context.after(() => rmSync(path, { recursive: true, force: true }));
  return {
    path,
    write(name, text) {
      const file = join(path, name);
      writeFileSync(file, text);
      return file;
    },
  };
}
