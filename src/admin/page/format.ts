/** Numbers and times as the page shows them; pure, and tested without a browser. */

/** `42 s`, `3 min 20 s`, `5 h 12 min`, `8 d 3 h`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const units: [number, string][] = [
    [86_400, 'd'],
    [3_600, 'h'],
    [60, 'min'],
    [1, 's'],
  ];
  const first = units.findIndex(([size]) => whole >= size);
  if (first === -1) return '0 s';
  const [size, unit] = units[first] as [number, string];
  const next = units[first + 1];
  const text = `${Math.floor(whole / size)} ${unit}`;
  if (!next) return text;
  return `${text} ${Math.floor((whole % size) / next[0])} ${next[1]}`;
}

/** Milliseconds with as many digits as are of use. */
export function formatMs(ms: number | null): string {
  if (ms === null) return '–';
  if (ms < 10) return `${Number(ms.toPrecision(2))} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  return `${Number((ms / 1_000).toPrecision(3))} s`;
}

/** Requests a second. */
export function formatRate(rate: number): string {
  if (rate === 0) return '0/s';
  return rate < 0.1 ? '<0.1/s' : `${Number(rate.toPrecision(2))}/s`;
}

/** Groups of three digits, apart by a narrow space. */
export function formatCount(count: number): string {
  return String(count).replace(/\B(?=(\d{3})+$)/g, '\u202f');
}

/** A count of tokens in three digits. */
export function formatTokens(count: number): string {
  if (count < 10_000) return formatCount(count);
  const [size, unit] = count < 999_500 ? [1e3, 'k'] : count < 999_500_000 ? [1e6, 'M'] : [1e9, 'G'];
  return `${Number((count / size).toPrecision(3))}\u202f${unit}`;
}

/** The length of a window in its largest whole unit: `5 h`, `7 d`. */
export function formatWindow(minutes: number): string {
  if (minutes % 1_440 === 0 && minutes > 0) return `${minutes / 1_440} d`;
  if (minutes % 60 === 0 && minutes > 0) return `${minutes / 60} h`;
  return `${Math.round(minutes)} min`;
}

/** Time of day of an RFC 3339 time, in the zone of whoever reads; `–` for none. */
export function formatTime(at: string | null): string {
  if (at === null) return '–';
  const time = new Date(at);
  return Number.isNaN(time.getTime()) ? '–' : time.toTimeString().slice(0, 8);
}
