import Fastify from 'fastify';
import t from 'tap';
import { type AdminOptions, adminPlugin, healthPlugin } from '../../src/admin/plugin.ts';

t.test('what may need no token keeps no connection, but for the events', async (t) => {
  const app = Fastify();
  const brief: string[] = [];
  const others: string[] = [];
  app.addHook('onRoute', ({ method, url, config }) => {
    if (method !== 'HEAD') (config?.brief ? brief : others).push(url);
  });
  // Routes are only mounted here, so nothing else of it is ever touched.
  const options = { scrape: () => '' } as unknown as AdminOptions;
  await app.register(adminPlugin, options);
  await app.register(healthPlugin, options);
  t.strictSame(brief.sort(), [
    '/',
    '/auth/clients',
    '/auth/status',
    '/livez',
    '/metrics',
    '/readyz',
  ]);
  // Those have their own limit.
  t.strictSame(others.sort(), ['/auth/events', '/auth/reload', '/auth/sign-in', '/auth/sign-in']);
});
