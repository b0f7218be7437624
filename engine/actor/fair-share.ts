// Whose turn it is: transactional before marketing, and within a lane deficit round robin, where each campaign sends
// as many messages a turn as its weight. Only campaigns with something to send stand in line, so a turn costs the
// same beside 10,000 idle ones.

import type { Lane } from "../message/campaign.ts";
import { Ring } from "./ring.ts";

export interface Sharer {
  readonly lane: Lane;
  /** Messages a turn. */
  readonly weight: number;
  /** What is left of this turn. */
  credit: number;
  /** The lane in whose line it stands, or null. */
  standsIn: Lane | null;
}

export interface FairShare<Member extends Sharer> {
  readonly transactional: Ring<Member>;
  readonly marketing: Ring<Member>;
}

export function createFairShare<Member extends Sharer>(): FairShare<Member> {
  return { transactional: new Ring(), marketing: new Ring() };
}

/** Stands at the end of its lane's line, unless it stands there already. */
export function join<Member extends Sharer>(share: FairShare<Member>, member: Member): void {
  if (member.standsIn !== null) return;
  member.standsIn = member.lane;
  member.credit = Math.max(1, member.weight);
  share[member.lane].push(member);
}

/** Whose turn it is; undefined when nobody has anything to send. */
export function front<Member extends Sharer>(share: FairShare<Member>): Member | undefined {
  return share.transactional.peek() ?? share.marketing.peek();
}

/** The front one sent a message: after as many as its weight it goes to the end of the line. */
export function served<Member extends Sharer>(share: FairShare<Member>, member: Member): void {
  member.credit -= 1;
  if (member.credit >= 1) return;
  const line = share[member.standsIn ?? member.lane];
  member.credit += Math.max(1, member.weight);
  if (line.length > 1) {
    line.shift();
    line.push(member);
  }
}

/** The front one has nothing to send for now. */
export function leave<Member extends Sharer>(share: FairShare<Member>, member: Member): void {
  if (member.standsIn === null) return;
  const line = share[member.standsIn];
  if (line.peek() === member) line.shift();
  else line.remove(member);
  member.standsIn = null;
}
