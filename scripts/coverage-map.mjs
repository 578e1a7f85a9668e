import { readdirSync } from 'node:fs';

const SOURCES = readdirSync('.build/src', { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.js'))
  .map((name) => `.build/src/${name}`);

/** Every test can cover all of the source, and nothing else, so helpers are not counted. */
export default () => SOURCES;
