import { styleText } from 'node:util';
import type { Environment } from '../sidecar/settings.ts';

export type Style = 'green' | 'yellow' | 'red' | 'bold' | 'dim';
export type Paint = (style: Style, text: string) => string;

/**
 * Whether output to a stream gets colours: on a terminal that has them, unless `NO_COLOR` is set
 * (no-color.org). `FORCE_COLOR` wins over both, as in Node.js.
 */
export function wantsColour(isTerminal: boolean, env: Environment): boolean {
  const { FORCE_COLOR: force, NO_COLOR: no, TERM: terminal } = env;
  if (force !== undefined) return force !== '0' && force !== 'false';
  return isTerminal && !no && terminal !== 'dumb';
}

/** Newer versions of Node.js would look at standard output once more; older ones ignore the option. */
export function painter(colour: boolean): Paint {
  return (style, text) => (colour ? styleText(style, text, { validateStream: false }) : text);
}
