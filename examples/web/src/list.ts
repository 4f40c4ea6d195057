/**
 * The list of samples as the grid shows it: any part of it, by position, of a server that has cursors and no offsets.
 *
 * Pages of `PAGE` samples are read when they come into view. A page next to a known one begins behind its cursor. A
 * place far away is found by values: as many samples come before a time as a count says, so a few counts between the
 * times of the first and the last sample lead close to it, and steps of a hundred lead there. A list in an order without
 * such a value is walked. What is not read yet is a placeholder.
 */
import type { Client, CombinedError } from "@urql/core";

import {
  CountDocument,
  EndsDocument,
  type SampleFilter,
  type SampleOrderInput,
  SamplesDocument,
  type SamplesQuery,
  type SamplesQueryVariables,
  StepDocument,
} from "./gql/graphql";
import { isPassing, note, pause } from "./session";

const PAGE = 60;
const KEPT = 100; // pages; others are forgotten
const STEP = 100; // samples: the server's largest page
const NEAR = 5 * STEP; // from here on, walk
const COUNTS = 16; // most counts for one place

type Samples = NonNullable<SamplesQuery["dataset"]>["samples"];
export type Card = Samples["nodes"][number];

interface Page {
  cards: readonly Card[];
  how: Partial<SamplesQueryVariables>; // the arguments that it was read with
  before: string | null; // the cursor before its first sample, where it is known
  start: string | null;
  end: string | null;
  isFresh: boolean;
  close: () => void;
}

type Pages = [first: number, last: number];
const pagesOf = (first: number, last: number): Pages => [
  Math.max(0, Math.floor(first / PAGE)),
  Math.max(0, Math.floor(last / PAGE)),
];

export class SampleList {
  total: number | null = null;
  countingTook = 0; // milliseconds
  problem: CombinedError | undefined; // why the server refuses this list
  private pages = new Map<number, Page>();
  private anchors = new Map<number, string>(); // the cursor before a page
  private wanted: Pages = [0, 0]; // those in view
  private selecting: Pages | null = null; // those of a selection from one image to another
  private isReading = false;
  private isClosed = false;
  private generation = 0; // the number of refreshes
  private changes = 0;
  private listeners = new Set<() => void>();

  constructor(
    private readonly client: Client,
    private readonly dataset: string,
    readonly filter: SampleFilter,
    readonly orderBy: SampleOrderInput,
  ) {
    void this.read();
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };
  readonly snapshot = (): number => this.changes;

  sample(index: number): Card | undefined {
    return this.pages.get(Math.floor(index / PAGE))?.cards[index % PAGE];
  }

  /** The samples between two positions, both included, as far as they are read. */
  samples(first: number, last: number): Card[] {
    const found: Card[] = [];
    for (let index = first; index <= last; index++) {
      const sample = this.sample(index);
      if (sample) found.push(sample);
    }
    return found;
  }

  indexOf(id: string): number {
    for (const [number, page] of this.pages) {
      const at = page.cards.findIndex((card) => card.id === id);
      if (at >= 0) return number * PAGE + at;
    }
    return -1;
  }

  /** Says which positions are in view: they are read, and nothing that was in view before. */
  want(first: number, last: number): void {
    this.wanted = pagesOf(first, last);
    void this.read();
  }

  /** All samples between two positions, for a selection from one to another; null when another one was asked for since. */
  async range(first: number, last: number): Promise<Card[] | null> {
    const pages = pagesOf(first, last);
    this.selecting = pages;
    void this.read();
    const isMissing = (number: number) => number <= this.lastPage && !this.pages.has(number);
    while (this.selecting === pages && !this.isClosed && between(pages).some(isMissing)) await pause(20);
    if (this.selecting !== pages) return null;
    this.selecting = null;
    return this.samples(first, last);
  }

  /** Reads what is in view again. It stays in view meanwhile. */
  refresh(): void {
    this.generation++;
    this.anchors.clear();
    for (const page of this.pages.values()) page.isFresh = false;
    void this.read();
  }

  close(): void {
    this.isClosed = true;
    for (const page of this.pages.values()) page.close();
    this.listeners.clear();
  }

  private get lastPage(): number {
    return Math.max(0, Math.ceil((this.total ?? 1) / PAGE) - 1);
  }

  private changed(): void {
    this.changes++;
    for (const listener of this.listeners) listener();
  }

  /** One page after another, as long as something in view is missing. */
  private async read(): Promise<void> {
    if (this.isReading) return;
    this.isReading = true;
    while (!this.isClosed) {
      const number = this.nextMissing();
      if (number === undefined) break;
      if (!(await this.readPage(number))) await pause(this.problem ? 5_000 : 1_000);
    }
    this.isReading = false;
  }

  private nextMissing(): number | undefined {
    if (this.total === null) return 0;
    const isMissing = (number: number) => number <= this.lastPage && !this.pages.get(number)?.isFresh;
    const inView = between(this.wanted).filter(isMissing);
    const missing = inView.length > 0 || !this.selecting ? inView : between(this.selecting).filter(isMissing);
    return missing.find((number) => this.neighbour(number)) ?? missing[0];
  }

  /** The arguments that read a page beside one that is known. */
  private neighbour(number: number): Partial<SamplesQueryVariables> | undefined {
    const [previous, next] = [this.pages.get(number - 1), this.pages.get(number + 1)];
    if (number === 0) return { first: PAGE };
    if (previous?.isFresh && previous.end) return { first: PAGE, after: previous.end };
    const anchor = this.anchors.get(number);
    if (anchor) return { first: PAGE, after: anchor };
    if (next?.isFresh && next.start) return { last: PAGE, before: next.start };
    if (this.total !== null && number === this.lastPage) return { last: this.total - number * PAGE };
    return undefined;
  }

  private async readPage(number: number): Promise<boolean> {
    const known = this.pages.get(number);
    const isAnyFresh = [...this.pages.values()].some((page) => page.isFresh);
    // After a refresh, the first page in view begins where it began: what is in view stays there.
    const how = this.neighbour(number) ?? (known && !isAnyFresh ? known.how : await this.seek(number));
    if (how === undefined) return true; // something else came into view meanwhile
    const count = !isAnyFresh || this.total === null;
    known?.close();
    const [begun, generation] = [performance.now(), this.generation];
    const { client, dataset: id, filter, orderBy } = this;
    const source = client.query(
      SamplesDocument,
      { id, filter, orderBy, ...how, count, suggested: filter.suggestions !== undefined },
      { requestPolicy: "network-only" },
    );
    return new Promise((resolve) => {
      let page: Page | undefined;
      let unsubscribe = () => {};
      const close = () => unsubscribe();
      const received = ({ nodes, pageInfo, totalCount }: Samples) => {
        if (page)
          page.cards = nodes; // the cache has something newer
        else {
          const total = totalCount ?? this.total;
          // Nothing changed meanwhile, and the share of the last page is right.
          const isFresh =
            generation === this.generation && (!how.last || how.before !== undefined || total === this.total);
          if (count) this.countingTook = performance.now() - begun;
          this.total = total;
          page = {
            cards: nodes,
            how,
            before: how.after ?? null,
            start: pageInfo.startCursor,
            end: pageInfo.endCursor,
            isFresh,
            close,
          };
          this.put(number, page);
        }
        this.changed();
      };
      ({ unsubscribe } = source.subscribe(({ data, error, stale }) => {
        if (this.isClosed) return resolve(true);
        note(error);
        const samples = data?.dataset?.samples;
        // The cache may answer once more after a refusal, with neither.
        if (error || samples) this.problem = error && !isPassing(error) ? error : undefined;
        if (this.problem) this.changed();
        if (samples && !stale) received(samples);
        if (error || !stale) resolve(!error && samples !== undefined);
      }));
    });
  }

  /** Adds a page. A neighbour that does not continue it, because something came or went, is read again. */
  private put(number: number, page: Page): void {
    this.pages.delete(number);
    this.pages.set(number, page);
    const [previous, next] = [this.pages.get(number - 1), this.pages.get(number + 1)];
    if (next?.isFresh) {
      if (page.how.before) next.before = page.end;
      else if (next.before !== page.end) next.isFresh = false;
    }
    if (previous?.isFresh && page.before !== previous.end) {
      if (page.how.last && !page.how.before) page.before = previous.end;
      else previous.isFresh = false;
    }
    for (const [old, { close }] of this.pages) {
      const isFar = (old < this.wanted[0] - 1 || old > this.wanted[1] + 1) && !isIn(this.selecting, old);
      if (old > this.lastPage || (isFar && this.pages.size > KEPT)) {
        close();
        this.pages.delete(old);
      }
    }
  }

  /** The arguments that read a page far from all known ones; undefined when it is not wanted any more. */
  private async seek(number: number): Promise<Partial<SamplesQueryVariables> | undefined> {
    const isWanted = () => (isIn(this.wanted, number) || isIn(this.selecting, number)) && !this.isClosed;
    await pause(120); // whoever drags the scroll bar passes many places
    if (!isWanted()) return undefined;
    let [position, filter, after] = this.nearest(number);
    const target = number * PAGE;
    if (target - position > NEAR) {
      const found = await this.findByValue(target, isWanted);
      if (found && found.position > position) [position, filter, after] = [found.position, found.filter, null];
    }
    while (position < target && isWanted()) {
      const first = Math.min(STEP, target - position);
      const { dataset: id, orderBy } = this;
      const { data, error } = await this.client
        .query(StepDocument, { id, filter, orderBy, first, after }, NETWORK)
        .toPromise();
      const cursor: string | null | undefined = data?.dataset?.samples.pageInfo.endCursor;
      note(error);
      if (error) await pause(1_000);
      else if (!cursor) this.total = null; // the list is shorter by now: it is counted again
      if (!cursor) return undefined;
      [position, after, filter] = [position + first, cursor, this.filter];
      if (position % PAGE === 0) this.anchors.set(position / PAGE, cursor);
    }
    return isWanted() ? { first: PAGE, after } : undefined;
  }

  /** The known place closest before a page: its position, and how to continue from there. */
  private nearest(number: number): [number, SampleFilter, string | null] {
    let best: [number, SampleFilter, string | null] = [0, this.filter, null];
    const consider = (page: number, cursor: string | null) => {
      if (cursor && page <= number && page * PAGE > best[0]) best = [page * PAGE, this.filter, cursor];
    };
    for (const [page, cursor] of this.anchors) consider(page, cursor);
    for (const [page, { end, isFresh }] of this.pages) if (isFresh) consider(page + 1, end);
    return best;
  }

  /** A place a little before a position: how many samples come before it, and the filter of those behind it. */
  private async findByValue(
    target: number,
    isWanted: () => boolean,
  ): Promise<{ position: number; filter: SampleFilter } | undefined> {
    const scale = SCALES[this.orderBy.field];
    if (!scale) return undefined;
    const { client, dataset: id, filter, orderBy } = this;
    const ends = await client.query(EndsDocument, { id, filter, orderBy }, NETWORK).toPromise();
    const [begin, end] = [ends.data?.dataset?.begin.nodes[0], ends.data?.dataset?.end.nodes[0]];
    if (!begin || !end) return undefined;
    const descending = orderBy.direction === "DESC";
    let [low, high] = [scale.value(begin), scale.value(end)];
    let [before, upTo] = [0, this.total ?? 0]; // samples before `low`, and before `high`
    let best: { position: number; filter: SampleFilter } | undefined;
    for (let count = 0; count < COUNTS && target - before > NEAR && Math.abs(high - low) > 1 && isWanted(); count++) {
      // In turns by proportion, which is fast where values are even, and by halves, which is never slow.
      const share =
        count % 2 ? 0.5 : Math.min(0.98, Math.max(0.02, (target - before) / Math.max(1, upTo - before) - 0.005));
      const middle = Math.round(low + (high - low) * share);
      if (middle === low || middle === high) break;
      const split = descending
        ? { ahead: scale.atLeast(middle), behind: scale.below(middle) }
        : { ahead: scale.below(middle), behind: scale.atLeast(middle) };
      const counted = await client
        .query(CountDocument, { id, filter: { and: [filter, split.ahead] } }, NETWORK)
        .toPromise();
      const position = counted.data?.dataset?.samples.totalCount;
      if (position === undefined) return best;
      if (position >= target) [high, upTo] = [middle, position];
      else {
        [low, before] = [middle, position];
        best = { position, filter: { and: [filter, split.behind] } };
      }
    }
    return best;
  }
}

const isIn = (pages: Pages | null, number: number): boolean =>
  pages !== null && number >= pages[0] && number <= pages[1];
const between = ([first, last]: Pages): number[] => Array.from({ length: last - first + 1 }, (_, index) => first + index);

const NETWORK = { requestPolicy: "network-only" } as const;

/** Orders by a number that filters know, too. */
interface Scale {
  value: (sample: { createdAt: string; addedAt: string; size: number }) => number;
  atLeast: (value: number) => SampleFilter;
  below: (value: number) => SampleFilter;
}

const justBefore = (time: number) => `${new Date(time - 1).toISOString().slice(0, -1)}999Z`; // a microsecond

const SCALES: Partial<Record<SampleOrderInput["field"], Scale>> = {
  CREATED_AT: {
    value: (sample) => Date.parse(sample.createdAt),
    atLeast: (time) => ({ createdAt: { from: new Date(time).toISOString() } }),
    below: (time) => ({ createdAt: { to: justBefore(time) } }),
  },
  ADDED_AT: {
    value: (sample) => Date.parse(sample.addedAt),
    atLeast: (time) => ({ addedAt: { from: new Date(time).toISOString() } }),
    below: (time) => ({ addedAt: { to: justBefore(time) } }),
  },
  SIZE: {
    value: (sample) => sample.size,
    atLeast: (size) => ({ size: { min: size } }),
    below: (size) => ({ size: { max: size - 1 } }),
  },
};
