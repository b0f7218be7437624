// A file's path as a person wants to read it.

import { isAbsolute, relative } from "node:path";

/** Relative to the working directory for what lies in it, absolute for the rest. */
export function shownPath(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith("..") || isAbsolute(path) ? file : path;
}
