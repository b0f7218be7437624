// Which access tokens Meta takes. One that expired stays expired until it is declared valid again.

import { ALL } from "./change.ts";
import type { GraphFault } from "./graph-error.ts";

/** Tokens that are remembered as used, so that "all" can mean them where any token is taken. */
const USED_MAX = 10_000;
const EXPIRED: GraphFault = {
  code: 190,
  subcode: 463,
  message: "Error validating access token: Session has expired",
};

export class AccessTokens {
  /** Null: any that is not empty. */
  readonly #known: Set<string> | null;
  readonly #used = new Set<string>();
  readonly #expired = new Set<string>();
  /** The last header that was fine: nearly always the next one. */
  #goodHeader = "";

  constructor(tokens: readonly string[] | null) {
    this.#known = tokens === null ? null : new Set(tokens);
  }

  get expired(): number {
    return this.#expired.size;
  }

  /** Of a missing, unknown or expired token, or null. @param authorization the whole header. */
  fault(authorization: string): GraphFault | null {
    if (authorization === this.#goodHeader && authorization !== "") return null;
    const token = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1];
    if (token === undefined) {
      return { code: 104, message: "An access token is required to request this resource." };
    }
    if (this.#expired.has(token)) return EXPIRED;
    if (this.#known !== null && !this.#known.has(token)) {
      return { code: 190, message: "Invalid OAuth access token - Cannot parse access token" };
    }
    if (this.#used.size < USED_MAX) this.#used.add(token);
    this.#goodHeader = authorization;
    return null;
  }

  /** @param token or `*`: all that are known or were used. */
  change(token: string, isValid: boolean): void {
    this.#goodHeader = "";
    for (const one of token === ALL ? [...(this.#known ?? []), ...this.#used] : [token]) {
      if (!isValid) this.#expired.add(one);
      else {
        this.#expired.delete(one);
        this.#known?.add(one);
      }
    }
  }
}
