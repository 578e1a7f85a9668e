import type { MetricFamily, Sample } from './prometheus-text.ts';

/** Counts, one number for each combination of label values; these must be few. */
export class Counter {
  readonly #name: string;
  readonly #help: string;
  readonly #cells: LabelledCells<{ count: number }>;

  /** @param known label values that are shown before they are counted */
  constructor(
    name: string,
    help: string,
    labelNames: readonly string[] = [],
    known: readonly string[][] = [],
  ) {
    this.#name = name;
    this.#help = help;
    this.#cells = new LabelledCells(labelNames, () => ({ count: 0 }));
    if (labelNames.length === 0) this.#cells.at();
    for (const values of known) this.#cells.at(...values);
  }

  /** @param labelValues in the order of the label names */
  add(amount: number, ...labelValues: string[]): void {
    this.#cells.at(...labelValues).count += amount;
  }

  get family(): MetricFamily {
    const samples = this.#cells.entries.map(({ labels, cell }) => ({ labels, value: cell.count }));
    return { name: this.#name, help: this.#help, type: 'counter', samples };
  }
}

interface Buckets {
  /** Of each bucket alone; the last one has no upper bound. */
  counts: number[];
  sum: number;
}

/** A histogram with the same bounds for each combination of label values. */
export class Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #bounds: readonly number[];
  readonly #cells: LabelledCells<Buckets>;

  /** @param bounds upper bounds, ascending; a bucket without one is added */
  constructor(
    name: string,
    help: string,
    labelNames: readonly string[],
    bounds: readonly number[],
  ) {
    this.#name = name;
    this.#help = help;
    this.#bounds = bounds;
    const counts = new Array<number>(bounds.length + 1).fill(0);
    this.#cells = new LabelledCells(labelNames, () => ({ counts: [...counts], sum: 0 }));
  }

  observe(value: number, ...labelValues: string[]): void {
    const cell = this.#cells.at(...labelValues);
    let bucket = 0;
    while (bucket < this.#bounds.length && value > (this.#bounds[bucket] as number)) bucket++;
    (cell.counts[bucket] as number) += 1;
    cell.sum += value;
  }

  get family(): MetricFamily {
    const samples = this.#cells.entries.flatMap(({ labels, cell }) => this.#samples(labels, cell));
    return { name: this.#name, help: this.#help, type: 'histogram', samples };
  }

  #samples(labels: Record<string, string>, { counts, sum }: Buckets): Sample[] {
    let total = 0;
    const buckets = counts.map((count, i) => {
      total += count;
      const le = String(this.#bounds[i] ?? '+Inf');
      return { suffix: '_bucket', labels: { le, ...labels }, value: total };
    });
    return [
      ...buckets,
      { suffix: '_sum', labels, value: sum },
      { suffix: '_count', labels, value: total },
    ];
  }
}

interface CellNode<Cell> {
  next: Map<string, CellNode<Cell>>;
  cell: Cell | null;
}

/**
 * One cell for each combination of label values. They are nested maps, because joining the values to
 * one key takes longer than all the rest of counting (measured).
 */
class LabelledCells<Cell> {
  readonly #labelNames: readonly string[];
  readonly #make: () => Cell;
  readonly #root: CellNode<Cell> = { next: new Map(), cell: null };

  constructor(labelNames: readonly string[], make: () => Cell) {
    this.#labelNames = labelNames;
    this.#make = make;
  }

  at(...values: string[]): Cell {
    let node = this.#root;
    for (const value of values) {
      let next = node.next.get(value);
      if (!next) {
        next = { next: new Map(), cell: null };
        node.next.set(value, next);
      }
      node = next;
    }
    node.cell ??= this.#make();
    return node.cell;
  }

  get entries(): { labels: Record<string, string>; cell: Cell }[] {
    return [...this.#walk(this.#root, [])];
  }

  *#walk(
    node: CellNode<Cell>,
    values: string[],
  ): Generator<{ labels: Record<string, string>; cell: Cell }> {
    const { cell } = node;
    if (cell !== null) {
      const pairs = this.#labelNames.map((name, i) => [name, values[i] ?? '']);
      yield { labels: Object.fromEntries(pairs), cell };
    }
    for (const [value, next] of node.next) yield* this.#walk(next, [...values, value]);
  }
}
