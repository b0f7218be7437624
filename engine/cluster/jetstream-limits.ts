// The limits of volley.yaml on several nodes: the newest saved file counts on all of them.

import type { Clock } from "../runtime/clock.ts";
import type { NatsLink } from "../runtime/jetstream-connection.ts";
import { limitsBucket } from "../runtime/jetstream-names.ts";
import { openSharedMap } from "../runtime/jetstream-shared-map.ts";
import type { Log } from "../runtime/log.ts";
import { limitsInForce, type PublishedLimits, type SharedLimits } from "../runtime/shared-limits.ts";

export interface ClusterLimits {
  inForce(own: PublishedLimits): Promise<SharedLimits>;
  onChange(call: () => void): void;
  close(): Promise<void>;
}

const KEY = "limits";

export async function openClusterLimits(options: {
  readonly link: NatsLink;
  /** Folder of this node's copy. */
  readonly path: string;
  readonly nodeId: string;
  readonly log: Log;
  readonly clock: Clock;
}): Promise<ClusterLimits> {
  const { link, log } = options;
  const map = await openSharedMap<PublishedLimits, string>({ ...options, bucket: limitsBucket(link.prefix) });
  return {
    inForce: async (own) => {
      const dealtWithBefore = map.notes().get(KEY) ?? null;
      const published = map.get(KEY) ?? null;
      const { limits, publish, dealtWith, isOverridden } = limitsInForce({
        own,
        dealtWith: dealtWithBefore,
        published,
      });
      const note = new Map([[KEY, dealtWith]]);
      if (publish !== null) await map.putAll(new Map([[KEY, publish]]), note);
      else if (dealtWith !== dealtWithBefore) await map.keepNotes(note);
      if (isOverridden) log.warn("limits.overridden", { reason: "another node's volley.yaml was saved later" });
      return limits;
    },
    onChange: (call) => map.onChange(() => call()),
    close: () => map.close(),
  };
}
