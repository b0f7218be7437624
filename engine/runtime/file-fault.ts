// A fault in a configuration file, with the place to put the cursor.

import type { CampaignFault } from "../message/campaign.ts";

export interface FileFault extends CampaignFault {
  /** As the operator named it, or found beside the configuration. */
  readonly file: string;
  /** Counted from 1. */
  readonly line: number;
  /** Counted from 1. */
  readonly column: number;
}

/** `config/volley.yaml:12:5 server.prot: unknown key; the nearest known key is "port"` */
export function faultText({ file, line, column, path, message }: FileFault): string {
  return `${file}:${line}:${column} ${path === "" ? "" : `${path}: `}${message}`;
}
