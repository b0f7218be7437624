// Which of two files counts when several nodes have one each: the one that was saved last, on all of them. Pure.
//
// A node notices that its file was saved by its content, against what it remembers having dealt with. Only when it
// remembers nothing (its first start, or a file that is new to it) does the time decide that the file carries: a node
// that joins with an old checkout must not turn back what the others run.

export interface OwnFile {
  /** Of its content. */
  readonly hash: string;
  /** When the file was written, in epoch milliseconds. */
  readonly savedAtMs: number;
}

export interface PublishedFile {
  /** Null: the file was deleted then. */
  readonly hash: string | null;
  readonly savedAtMs: number;
}

/** `publish`: the own file is the newest. `follow`: the published one is. `same`: both say the same. */
export type Newest = "publish" | "follow" | "same";

/** @param dealtWith Hash of the own file when this node last looked at it; null: never. */
export function newestSaved(files: {
  readonly own: OwnFile;
  readonly dealtWith: string | null;
  readonly published: PublishedFile | null;
}): Newest {
  const { own, dealtWith, published } = files;
  if (published?.hash === own.hash) return "same";
  if (published === null) return "publish";
  if (dealtWith === null) return own.savedAtMs > published.savedAtMs ? "publish" : "follow";
  return dealtWith === own.hash ? "follow" : "publish";
}
