// The parts of a partition, put together: who knows whom.

import { BudgetRestore } from "./budget-restore.ts";
import { type Campaign, CampaignMemory, MEMORY_BOUNDS } from "./campaign-memory.ts";
import { CANCELLED_MARKS, CancelDesk, isCancelOver } from "./cancel-desk.ts";
import { DelayBook } from "./delay-book.ts";
import { DeliverySweep } from "./delivery-sweep.ts";
import { DepartureTrail } from "./departure-trail.ts";
import { DiskQueue } from "./disk-queue.ts";
import { DueQueue } from "./due-queue.ts";
import { EffectPerformer } from "./effect-performer.ts";
import { areDeparturesOver, FrequencyCap, MARKETING_MARKS } from "./frequency-cap.ts";
import { MailboxFeed } from "./mailbox-feed.ts";
import { MarkSweep } from "./mark-sweep.ts";
import { MessageJournal } from "./message-journal.ts";
import { OverdueQueue } from "./overdue-queue.ts";
import type { PartitionDeps } from "./partition-deps.ts";
import { sendRulesOf } from "./send-rules.ts";
import { SenderDesk } from "./sender-desk.ts";
import { SenderReports } from "./sender-reports.ts";
import { StatusIntake } from "./status-intake.ts";
import { StreamIntake } from "./stream-intake.ts";

export interface PartitionParts {
  readonly journal: MessageJournal;
  readonly memory: CampaignMemory;
  readonly disk: DiskQueue<Campaign>;
  readonly due: DueQueue;
  readonly overdue: OverdueQueue<Campaign>;
  readonly delays: DelayBook;
  readonly deliveries: DeliverySweep;
  readonly trail: DepartureTrail;
  readonly budgets: BudgetRestore;
  readonly reports: SenderReports;
  readonly senders: SenderDesk;
  readonly performer: EffectPerformer;
  readonly statuses: StatusIntake;
  readonly feed: MailboxFeed;
  readonly intake: StreamIntake;
  readonly marks: readonly MarkSweep[];
}

export interface PartitionCalls {
  /** Something is to be decided or written: a round is needed. */
  onInput(): void;
  /** What earlier runs left in the stream is read. */
  onCaughtUp(): void;
  /** A sender has its first campaign, or other settings. */
  onSeated(senderId: string): void;
}

export function assembleParts(deps: PartitionDeps, calls: PartitionCalls): PartitionParts {
  const { ledger } = deps;
  const bounds = deps.bounds ?? MEMORY_BOUNDS;
  const { countTransition } = deps;
  const journal = new MessageJournal({ get: (id) => ledger.get(id), mark: (key) => ledger.mark(key), countTransition });
  const memory = new CampaignMemory(ledger.campaignStates(), bounds);
  const disk = new DiskQueue<Campaign>({ ...deps, rowsMax: bounds.refillRowsMax });
  const due = new DueQueue(ledger);
  const overdue = new OverdueQueue<Campaign>(ledger);
  const delays = new DelayBook(journal);
  const trail = new DepartureTrail({ ...deps, journal });
  const reports = new SenderReports(deps);
  const { senders, budgets } = seatSenders();
  const deliveries = new DeliverySweep({
    ...deps,
    journal,
    memory,
    end: (campaign, record, finish) => performer.finish(campaign, record, finish),
    watch: (campaign, record, dueAtMs) => performer.watch(campaign, record, dueAtMs),
  });
  const cancels = new CancelDesk({ journal, end: (record, finish) => performer.end(record, finish) });
  const known = { journal, memory, disk, due, overdue, delays, deliveries, cancels, senders, reports };
  const performer: EffectPerformer = new EffectPerformer({ ...deps, ...known, onInput: () => calls.onInput() });
  const statuses = new StatusIntake({ ...deps, ...known, performer });
  const feed = new MailboxFeed({ ...deps, ...known, bounds, performer });
  const intake = new StreamIntake({
    ...deps,
    ...known,
    cursor: ledger.cursor(),
    statuses,
    performer,
    onArrival: (campaign, record) => feed.place(campaign, record),
    onRead: () => calls.onInput(),
    onCaughtUp: () => calls.onCaughtUp(),
  });
  const marks = markSweeps(deps, journal);
  return { ...known, trail, budgets, performer, statuses, feed, intake, marks };

  function seatSenders(): Pick<PartitionParts, "senders" | "budgets"> {
    const frequency = new FrequencyCap({ ...deps, journal, rules: deps.marketing });
    const rules = { ...deps, memory, frequency };
    const restored = new BudgetRestore({
      ...deps,
      memory,
      delays,
      onRestored: (senderId) => {
        desk.touch(senderId);
        calls.onInput();
      },
    });
    const desk: SenderDesk = new SenderDesk({
      ...deps,
      rulesOf: (senderId) => sendRulesOf(senderId, rules),
      perform: (sender, effect) => performer.perform(sender, effect),
      isHeldBack: (senderId) => restored.isRestoring(senderId),
      onSeated: (senderId, { pair }) => {
        trail.covers(pair.burst * pair.periodMs);
        reports.touched(senderId);
        calls.onSeated(senderId);
      },
    });
    return { senders: desk, budgets: restored };
  }
}

/** What says nothing any more goes, a little in each round. */
function markSweeps(deps: PartitionDeps, journal: MessageJournal): readonly MarkSweep[] {
  const { ledger, marketing } = deps;
  return [
    new MarkSweep({ ledger, journal, prefix: CANCELLED_MARKS, isOver: isCancelOver }),
    new MarkSweep({
      ledger,
      journal,
      prefix: MARKETING_MARKS,
      isOver: (value, nowMs) => areDeparturesOver(value, nowMs - (marketing.cap()?.periodMs ?? 0)),
    }),
  ];
}
