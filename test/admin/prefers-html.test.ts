import t from 'tap';
import { prefersHtml } from '../../src/admin/prefers-html.ts';
import { invalidFile } from '../helpers/credentials.ts';
import { send } from '../helpers/exchange.ts';
import { startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';

const CHROMIUM =
  'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7';

t.test('HTML goes to whoever would rather have it', async (t) => {
  const cases: [string | undefined, boolean][] = [
    [undefined, false],
    ['', false],
    ['*/*', false],
    ['application/json', false],
    ['text/html', true],
    ['TEXT/HTML', true],
    [CHROMIUM, true],
    ['text/html, application/json', false],
    ['text/html;q=0.5, application/json', false],
    ['text/html, application/json;q=0.9', true],
    ['text/*', true],
    ['text/html;q=0, */*', false],
    ['*/*;q=0.1, application/json;q=0', true],
    ['text/html;q=nonsense', false],
    ['text/html;level=1;q=0.4, */*;q=0.3', true],
    ['text/event-stream', false],
  ];
  for (const [accept, html] of cases) t.equal(prefersHtml(accept), html, String(accept));
});

t.test('the page comes with headers that lock it up', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: invalidFile });
  await untilStatus(url, ({ status }) => status === 'failed');
  const page = await send(`${url}/auth/status`, { headers: { accept: CHROMIUM } });
  t.equal(page.status, 200, 'the page is there, whatever it shows');
  t.match(page.headers, {
    'content-type': 'text/html; charset=utf-8',
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    vary: 'accept',
  });
  const policy = String(page.headers['content-security-policy']);
  for (const part of ["default-src 'none'", "frame-ancestors 'none'", "connect-src 'self'"]) {
    t.match(policy, part);
  }
  t.match(policy, /script-src 'sha256-[\w+/]{43}='(;|$)/);
  t.notMatch(policy, /unsafe|\*|http/);
  t.notMatch(page.text, /(src|href)="(?!data:)/, 'it loads nothing');
  t.notMatch(page.text, /^(import|export) |sourceMappingURL|innerHTML/m);

  const json = await send(`${url}/auth/status`);
  t.equal(json.status, 503);
  t.match(json.headers, { 'content-type': /^application\/json/, vary: 'accept' });
});

t.test('the bare address leads a browser to the page, and nobody else', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const html = { accept: CHROMIUM };
  for (const headers of [html, { ...html, 'sec-fetch-mode': 'navigate' }]) {
    const answer = await send(`${url}/`, { headers });
    t.equal(answer.status, 302);
    t.match(answer.headers, { location: '/auth/status', 'cache-control': 'no-store' });
  }
  const others = [{}, { accept: '*/*' }, { ...html, 'sec-fetch-mode': 'no-cors' }];
  for (const headers of others) {
    t.match(await send(`${url}/`, { headers }), {
      status: 403,
      headers: { 'x-sidecar-error': 'AUTH_ROUTE_DENIED' },
    });
  }
  const rebound = { ...html, host: 'evil.example' };
  t.match(await send(`${url}/`, { headers: rebound }), {
    status: 403,
    headers: { 'x-sidecar-error': 'AUTH_HOST_NOT_ALLOWED' },
  });
});
