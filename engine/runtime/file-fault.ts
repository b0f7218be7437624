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

/** As somebody reads the file: from top to bottom, one fault a place. Of several at one place the first given stays. */
export function tidyFaults(faults: readonly FileFault[]): FileFault[] {
  const places = new Set<string>();
  return faults
    .filter(({ path, line, column }) => {
      const place = `${line}:${column} ${path}`;
      return !places.has(place) && places.add(place);
    })
    .toSorted((left, right) => left.line - right.line || left.column - right.column);
}
