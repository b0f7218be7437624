// From what lies in campaigns/ to what its campaigns are: a version that cannot work never replaces one that can, a
// file that became unreadable leaves its campaign as it was, and both are told once and shown with the campaign.

import type { CampaignFault } from "../message/campaign.ts";
import type { CampaignFile } from "../runtime/campaign-file.ts";
import type { Log } from "../runtime/log.ts";
import type { CheckedCampaign, DeclaredCampaign } from "./campaign-compiler.ts";
import type { LoadedCampaignFile } from "./campaign-store.ts";

export interface CampaignFilesDeps {
  /** As it runs now. */
  running(id: string): CheckedCampaign | undefined;
  runningCampaigns(): Iterable<CheckedCampaign>;
  check(declared: DeclaredCampaign): CheckedCampaign;
  readonly log: Log;
}

export class CampaignFiles {
  readonly #deps: CampaignFilesDeps;
  /** By file: its faults, as they were told last. */
  readonly #told = new Map<string, string>();

  constructor(deps: CampaignFilesDeps) {
    this.#deps = deps;
  }

  /** False when it cannot work and the version that runs can. */
  canReplace(file: LoadedCampaignFile): boolean {
    return this.#faultsInTheWay(declaredByFile(file)).length === 0;
  }

  /**
   * By campaign id.
   *
   * @param files Of two loaded ones with the same id the first counts, and the other's faults are shown with it.
   * @param isConcerned Whether the campaign is asked for.
   */
  declared(files: readonly CampaignFile[], isConcerned: (id: string) => boolean): Map<string, DeclaredCampaign> {
    const next = new Map<string, DeclaredCampaign>();
    for (const file of files) {
      if (file.kind !== "loaded" || !isConcerned(file.definition.id)) continue;
      const { id } = file.definition;
      const first = next.get(id);
      next.set(id, first === undefined ? this.#betterOf(file) : this.#withFaultsOf(first, file));
    }
    const running = new Map(Array.from(this.#deps.runningCampaigns(), ({ declared }) => [declared.file, declared]));
    for (const { kind, file, faults } of files) {
      if (kind === "loaded") continue;
      const kept = running.get(file);
      this.#tell(file, faults, kept !== undefined);
      if (kept === undefined || !isConcerned(idOf(kept))) continue;
      const same = next.get(idOf(kept)) ?? kept;
      // Its id may have moved to another file.
      if (same.file === file) next.set(idOf(kept), { ...same, refusedFaults: faults });
    }
    return next;
  }

  /** The file's new version, unless it cannot work and the one that runs can. */
  #betterOf(file: LoadedCampaignFile): DeclaredCampaign {
    const declared = declaredByFile(file);
    const faults = this.#faultsInTheWay(declared);
    const running = this.#deps.running(idOf(declared));
    if (faults.length === 0 || running === undefined) {
      this.#told.delete(file.file);
      return declared;
    }
    this.#tell(file.file, faults, true);
    return { ...running.declared, file: file.file, refusedFaults: faults };
  }

  #withFaultsOf(first: DeclaredCampaign, file: LoadedCampaignFile): DeclaredCampaign {
    const { faults } = this.#deps.check(declaredByFile(file));
    if (faults.length === 0) return first;
    this.#tell(file.file, faults, true);
    return { ...first, file: file.file, refusedFaults: faults };
  }

  #faultsInTheWay(declared: DeclaredCampaign): readonly CampaignFault[] {
    const running = this.#deps.running(idOf(declared));
    if (running?.declared.source !== "file" || running.faults.length > 0) return [];
    return this.#deps.check(declared).faults;
  }

  #tell(file: string, faults: readonly CampaignFault[], isEarlierVersionKept: boolean): void {
    const text = JSON.stringify(faults);
    if (this.#told.get(file) === text) return;
    this.#told.set(file, text);
    this.#deps.log.warn("campaign.file_refused", { file, faults, isEarlierVersionKept });
  }
}

function declaredByFile({ definition, file, faults }: LoadedCampaignFile): DeclaredCampaign {
  return { definition, source: "file", file, fileFaults: faults, refusedFaults: [] };
}

function idOf({ definition }: DeclaredCampaign): string {
  return definition.id;
}
