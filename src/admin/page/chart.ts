/** Geometry of the charts, in units of the view box; pure. */

const CHART_WIDTH = 600;
const CHART_HEIGHT = 100;

/** A chart never shows less than this. */
const FEWEST_STEPS = 12;

/** The steps since the first that has something, all of them at most: a chart begins with what there is. */
export function begun<T>(values: readonly T[], first: number): T[] {
  return values.slice(Math.max(0, Math.min(first, values.length - FEWEST_STEPS)));
}

/** The next round number at or above: 1, 2, 5 times a power of ten. */
export function niceCeiling(value: number): number {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= value * 0.999_999) ?? 10;
  return step * power;
}

/** Bars side by side, each on top of its base; one path. */
export function barPath(values: readonly number[], bases: readonly number[], top: number): string {
  const width = CHART_WIDTH / values.length;
  let path = '';
  for (const [i, value] of values.entries()) {
    if (value <= 0) continue;
    const height = (value / top) * CHART_HEIGHT;
    const bottom = CHART_HEIGHT - ((bases[i] ?? 0) / top) * CHART_HEIGHT;
    path += `M${short(i * width + 0.5)} ${short(bottom)}v${short(-height)}h${short(width - 1)}v${short(height)}z`;
  }
  return path;
}

/** A line in steps, with gaps where there is nothing. */
export function stepPath(values: readonly (number | null)[], top: number): string {
  const width = CHART_WIDTH / values.length;
  let path = '';
  let drawing = false;
  for (const [i, value] of values.entries()) {
    if (value !== null) {
      const y = short(CHART_HEIGHT - (value / top) * CHART_HEIGHT);
      path += drawing ? `V${y}h${short(width)}` : `M${short(i * width)} ${y}h${short(width)}`;
    }
    drawing = value !== null;
  }
  return path;
}

export function largest(values: readonly (number | null)[]): number {
  return values.reduce<number>((most, value) => Math.max(most, value ?? 0), 0);
}

/** The newest value that there is. */
export function latest(values: readonly (number | null)[]): number | null {
  for (let i = values.length - 1; i >= 0; i--) {
    const value = values[i];
    if (value != null) return value;
  }
  return null;
}

function short(value: number): number {
  return Math.round(value * 100) / 100;
}
