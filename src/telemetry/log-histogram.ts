/** A bucket is a quarter of an octave wide, so a quantile is exact to within 19 %. */
const PER_OCTAVE = 4;
const OCTAVES = 21;
const BUCKETS = PER_OCTAVE * OCTAVES;

/**
 * Durations by the time step in which they came, in buckets that grow by a constant factor. That is
 * small enough to keep for every step, and gives quantiles of one step or of all.
 */
export class LogHistogram {
  readonly #least: number;
  readonly #counts: Uint32Array;

  /** @param least upper bound of the first bucket; that of the last is two million times as much */
  constructor(least: number, steps: number) {
    this.#least = least;
    this.#counts = new Uint32Array(steps * BUCKETS);
  }

  add(step: number, value: number): void {
    const octaves = Math.log2(Math.max(value, this.#least) / this.#least);
    const bucket = Math.min(BUCKETS - 1, Math.ceil(octaves * PER_OCTAVE));
    (this.#counts[step * BUCKETS + bucket] as number) += 1;
  }

  clear(step: number): void {
    this.#counts.fill(0, step * BUCKETS, (step + 1) * BUCKETS);
  }

  /**
   * The middle of the bucket that holds the quantile; null when nothing came.
   * @param step null takes all steps together
   */
  quantile(step: number | null, fraction: number): number | null {
    const counts = step === null ? this.#merged() : this.#of(step);
    const total = counts.reduce((sum, count) => sum + count, 0);
    if (total === 0) return null;
    let rank = Math.ceil(total * fraction);
    const bucket = counts.findIndex((count) => {
      rank -= count;
      return rank <= 0;
    });
    return this.#least * 2 ** ((bucket - 0.5) / PER_OCTAVE);
  }

  #of(step: number): Uint32Array {
    return this.#counts.subarray(step * BUCKETS, (step + 1) * BUCKETS);
  }

  #merged(): Uint32Array {
    const merged = new Uint32Array(BUCKETS);
    for (let at = 0; at < this.#counts.length; at++) {
      (merged[at % BUCKETS] as number) += this.#counts[at] as number;
    }
    return merged;
  }
}
