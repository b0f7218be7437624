// A map that is the same on all nodes, as those see it who keep campaigns, keys and limits in it.

export interface SharedMap<Value, Note = never> {
  get(key: string): Value | undefined;
  entries(): IterableIterator<[key: string, value: Value]>;
  /** @throws EngineError ERR_STORE_WRITE, as do all that write: then nothing has changed for this node, but a write whose answer got lost may arrive later, like another node's. */
  put(key: string, value: Value): Promise<void>;
  /** In one commit of the copy, together with notes. */
  putAll(values: ReadonlyMap<string, Value>, notes?: ReadonlyMap<string, Note | null>): Promise<void>;
  remove(key: string): Promise<void>;
  /** Puts it unless the key has a value; answers the value that the key has now. Of all nodes' claims one wins. */
  claim(key: string, value: Value): Promise<Value>;
  /**
   * Answers in the order of the claims, each key once.
   *
   * @param yieldsTo whether a claim gives way to the value that is there; default: to any.
   */
  claimAll(
    claims: readonly (readonly [key: string, value: Value])[],
    yieldsTo?: (there: Value, claim: Value) => boolean,
  ): Promise<Value[]>;
  /** Called with the keys that another node changed, once that is durable here and visible. May be told own ones as well. */
  onChange(call: (keys: readonly string[]) => void): void;
  /** This node's own, shared with nobody. */
  notes(): ReadonlyMap<string, Note>;
  /** A note that is null is removed. */
  keepNotes(notes: ReadonlyMap<string, Note | null>): Promise<void>;
  close(): Promise<void>;
}
