import { onOneLine } from '../../base/printable.ts';
import { valueAt } from '../../config/environment.ts';
import { KINDS } from '../../config/keys.generated.ts';
import type { Settings } from '../../sidecar/settings.ts';

/** A key that is in use. The configuration holds no secret, so each value can be shown. */
interface ConfigEntry {
  key: string;
  value: unknown;
  origin: string;
}

/** Every key with its value, in the order of the reference. */
export function configEntries({ config, originOf }: Settings): ConfigEntry[] {
  return Object.entries(KINDS).flatMap(([key, kinds]) => {
    const value = valueAt({ ...config }, key);
    // Of a section that can be null, what is in it is shown instead, if it is there.
    if (value === undefined || (kinds.includes('object') && value !== null)) return [];
    return [{ key, value, origin: originOf(key) }];
  });
}

/** A table for people: the key, the value as JSON, the origin. */
export function configLines(entries: readonly ConfigEntry[]): string[] {
  const texts = entries.map(({ value }) => JSON.stringify(value));
  const [keyWidth, valueWidth] = [entries.map(({ key }) => key), texts].map((column) =>
    Math.max(...column.map(({ length }) => length).filter((length) => length <= 48)),
  );
  return entries.map(({ key, origin }, index) => {
    const value = (texts[index] ?? '').padEnd(valueWidth ?? 0);
    return onOneLine(`${key.padEnd(keyWidth ?? 0)}  ${value}  ${origin}`);
  });
}
