import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

/**
 * The program that tests start: what `tsc` made of `src`, or the one that TEST_PROGRAM names. CI runs
 * what that can change a second time with `dist/cli.js`, which is what ships.
 */
export const PROGRAM = process.env.TEST_PROGRAM
  ? resolve(process.env.TEST_PROGRAM)
  : fileURLToPath(new URL('../../src/cli.js', import.meta.url));
