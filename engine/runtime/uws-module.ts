// uWebSockets.js is a native library that npm does not carry under its own name, so two republished packages are
// tried: one has binaries for Node.js 20 to 25 but needs a recent glibc, the other covers Node.js 20 on older systems.
// The .node file is required directly, never a package's main: one of them falls back to a slow JavaScript emulation
// without a word. And only files whose SHA-256 stands in uws-checksums.json are loaded: native code that this release
// was not tested with must not run by accident.

import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

import { EngineError, messageOf } from "./errors.ts";
import knownFiles from "./uws-checksums.json" with { type: "json" };

export type Uws = typeof import("uWebSockets.js");

export interface LoadedUws {
  readonly uws: Uws;
  /** Package, release and file, for the start-up log. */
  readonly description: string;
}

/** One package that may hold a binary for this machine. */
export interface UwsCandidate {
  /** Name and release, for the log. */
  readonly release: string;
  /** Folder of the .node files; null when the package is not installed. */
  readonly folder: string | null;
  /** File name → SHA-256 in hex. */
  readonly checksums: Readonly<Record<string, string>>;
}

const requireNative = createRequire(import.meta.url);

/**
 * Loads the first uWebSockets.js binary that works here, in the main thread or a worker.
 * @param candidates in order of preference; default the two installed packages.
 * @throws EngineError ERR_INGRESS_NATIVE_MISSING when none loads, ERR_INGRESS_NATIVE_UNVERIFIED when a binary is not a known one.
 */
export function loadUws(candidates: readonly UwsCandidate[] = installedCandidates()): LoadedUws {
  const fileName = `uws_${process.platform}_${process.arch}_${process.versions.modules}.node`;
  const failures: string[] = [];
  for (const candidate of candidates) {
    const file = candidate.folder === null ? null : join(candidate.folder, fileName);
    if (file === null || !existsSync(file)) {
      failures.push(`${candidate.release}: no ${fileName}`);
      continue;
    }
    verify(file, candidate.checksums[fileName]);
    try {
      const uws: Uws = requireNative(file);
      return { uws, description: `${candidate.release} (${fileName})` };
    } catch (error) {
      failures.push(`${candidate.release}: ${messageOf(error)}`);
    }
  }
  throw new EngineError("ERR_INGRESS_NATIVE_MISSING", missingSentence(failures));
}

function installedCandidates(): UwsCandidate[] {
  const current = knownFiles["uWebSockets.js"];
  const older = knownFiles["uwebsockets-node20"];
  return [
    // Its exports hide package.json, but its main lies beside the binaries.
    { release: current.release, folder: folderOf("uWebSockets.js"), checksums: current.files },
    {
      release: older.release,
      folder: folderOf("uwebsockets-node20/package.json", "binaries"),
      checksums: older.files,
    },
  ];
}

function folderOf(specifier: string, subfolder = ""): string | null {
  try {
    return join(dirname(requireNative.resolve(specifier)), subfolder);
  } catch {
    return null;
  }
}

function verify(file: string, expected: string | undefined): void {
  const actual = createHash("sha256").update(readFileSync(file)).digest("hex");
  if (actual === expected) return;
  throw new EngineError(
    "ERR_INGRESS_NATIVE_UNVERIFIED",
    `${file} has SHA-256 ${actual}, which is not the one this release was tested with (${expected ?? "no such file is known"}); remove node_modules and install again.`,
  );
}

function missingSentence(failures: readonly string[]): string {
  const here = `${process.platform}-${process.arch} with Node.js ${process.versions.node} (ABI ${process.versions.modules})`;
  return `No uWebSockets.js binary loads on ${here}: it takes Node.js 20, 22, 24 or 25 on macOS, Windows or Linux with glibc 2.38 or later, or Node.js 20 on Linux with glibc 2.27 or later; tried ${failures.join("; ")}.`;
}
