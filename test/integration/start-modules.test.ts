import { createRequire } from 'node:module';
import t from 'tap';
import { startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';

const { cache } = createRequire(import.meta.url);

t.test('a start compiles no schema: not of the configuration, and not of a route', async (t) => {
  const upstream = await startUpstream(t);
  await startSidecarInFrontOf(t, upstream.origin);
  const loaded = Object.keys(cache);
  t.ok(loaded.some((path) => path.includes('/node_modules/fastify/')));
  const compilers = /\/node_modules\/(?:ajv|@fastify\/(?:ajv|fast-json-stringify)-compiler)\//;
  t.strictSame(loaded.filter((path) => compilers.test(path)).slice(0, 3), []);
});

t.test('a start with a file loads nothing of PostgreSQL', async (t) => {
  const upstream = await startUpstream(t);
  await startSidecarInFrontOf(t, upstream.origin);
  const found = Object.keys(cache).filter((path) => path.includes('/node_modules/pg'));
  t.strictSame(found, []);
});
