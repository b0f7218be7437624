// Memberships of several nodes in one process, each with a connection of its own, on a real nats-server.

import { isValid } from "../../engine/cluster/lease-validity-system.ts";
import { joinCluster, type Membership } from "../../engine/cluster/jetstream-membership.ts";
import type { ClusterTiming } from "../../engine/cluster/timing.ts";
import { PARTITIONS } from "../../engine/message/partition.ts";
import { connectNats, type NatsLink } from "../../engine/runtime/jetstream-connection.ts";
import { systemClock } from "../../engine/runtime/system-clock.ts";
import { keptLog, type LogLine, streamConfig } from "../runtime/jetstream-settings.ts";

/** Everything five times faster than in production. */
export const TEST_TIMING: ClusterTiming = {
  beatMs: 400,
  holdMs: 1400,
  leaseMs: 2000,
  peersWaitMs: 2000,
  idleTakeMs: 600,
};

const EVERY_PARTITION: readonly number[] = Array.from({ length: PARTITIONS }, (_, partition) => partition);

export interface Member {
  readonly id: string;
  readonly link: NatsLink;
  readonly membership: Membership;
  /** What the engine was told to act for. */
  readonly acting: ReadonlySet<number>;
  readonly losses: number[];
  readonly lines: readonly LogLine[];
}

export class Members {
  readonly #urls: readonly string[];
  readonly #replicas: number;
  readonly #all: Member[] = [];

  constructor(urls: readonly string[], replicas: 1 | 3 = 1) {
    this.#urls = urls;
    this.#replicas = replicas;
  }

  async join(id: string, release: (partition: number) => Promise<void> = () => Promise.resolve()): Promise<Member> {
    const [first = ""] = this.#urls;
    const { log, lines } = keptLog();
    const config = streamConfig(first, { servers: this.#urls, replicas: this.#replicas });
    const link = await connectNats({ config, name: id, log, clock: systemClock });
    const acting = new Set<number>();
    const losses: number[] = [];
    const joining = joinCluster({
      link,
      nodeId: id,
      nodeName: `name of ${id}`,
      onTake: (partition) => void acting.add(partition),
      onRelease: async (partition) => {
        await release(partition);
        acting.delete(partition);
      },
      onLost: (partition) => {
        acting.delete(partition);
        losses.push(partition);
      },
      log,
      clock: systemClock,
      timing: TEST_TIMING,
    });
    const membership = await joining.catch(async (error: unknown) => {
      await link.close();
      throw error;
    });
    const member = { id, link, membership, acting, losses, lines };
    this.#all.push(member);
    return member;
  }

  /** Ends without a word, as a process that was killed. */
  async die(member: Member): Promise<void> {
    await member.link.connection.close();
  }

  async end(): Promise<void> {
    await Promise.all(this.#all.map(({ membership }) => membership.leave()));
    await Promise.all(this.#all.map(({ link }) => link.close()));
  }

  /** @throws when two count a partition as valid at this moment. */
  isSpread(expected: readonly number[], members: readonly Member[]): boolean {
    for (const partition of EVERY_PARTITION) {
      const holders = this.#all.filter(({ membership }) => isValid(membership.validUntil, partition));
      if (holders.length > 1) throw new Error(`${holders.map(({ id }) => id).join(" and ")} both hold ${partition}`);
    }
    return members.every((member, index) => validOf(member).length === expected[index]);
  }
}

export function validOf({ membership }: Member): number[] {
  return EVERY_PARTITION.filter((partition) => isValid(membership.validUntil, partition));
}
