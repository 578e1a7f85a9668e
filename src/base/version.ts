import { createRequire } from 'node:module';

const manifest = createRequire(import.meta.url)('codex-auth-sidecar/package.json') as {
  version: string;
};

/** The version in package.json, the only place where it is written. */
export const VERSION: string = manifest.version;

/** Truthful name of this program for the requests that it makes on its own account. */
export const USER_AGENT = `codex-auth-sidecar/${VERSION}`;
