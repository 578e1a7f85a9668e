import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Result } from 'axe-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import t from 'tap';
import { launchBrowser, openStatusPage } from '../helpers/browser.ts';
import { invalidFile, loginWithIdentity } from '../helpers/credentials.ts';
import { send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarInFrontOf, startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { closedPort } from '../helpers/upstream.ts';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const PHONE = { width: 390, height: 844 };
const VIEWS: Record<string, BrowserContextOptions> = {
  light: { colorScheme: 'light' },
  dark: { colorScheme: 'dark' },
  'light, on a phone': { colorScheme: 'light', viewport: PHONE },
  'dark, on a phone': { colorScheme: 'dark', viewport: PHONE },
};

let browser: Browser;
t.before(async () => {
  browser = await launchBrowser(t);
});

/** What axe finds on a page, one line for each element. */
async function findings(page: Page): Promise<string[]> {
  await page.evaluate(AXE);
  const violations = await page.evaluate<Result[]>('axe.run().then((run) => run.violations)');
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
  );
}

for (const [name, view] of Object.entries(VIEWS)) {
  // The policy of the page would stop the script of axe.
  const options = { ...view, bypassCSP: true };

  t.test(`a sidecar at work can be read by everybody, ${name}`, async (t) => {
    const { url, emulator } = await startSidecarWithEmulator(t, { credential: loginWithIdentity });
    await untilStatus(url, ({ status }) => status === 'ready');
    const headers = {
      'x-codex-primary-used-percent': '96',
      'x-codex-primary-window-minutes': '300',
      'x-codex-primary-reset-at': String(Math.floor(Date.now() / 1000) + 7200),
    };
    emulator.addFault({ path: RESPONSES, times: 0, headers });
    await send(url + RESPONSES, { method: 'POST', body: '{}' });
    await send(`${url}/backend-api/wham/remote/control/x`);
    const { page, until } = await openStatusPage(t, browser, url, options);
    await until('state-word', 'ready');
    await page.locator('#account-limits .limit').waitFor();
    await page.locator('#refusals', { hasText: 'AUTH_ROUTE_DENIED' }).waitFor();
    t.strictSame(await findings(page), []);
  });

  t.test(`a sidecar that failed can be read by everybody, ${name}`, async (t) => {
    const { url } = await startSidecarWithEmulator(t, { credential: invalidFile });
    await untilStatus(url, ({ status }) => status === 'failed');
    const { page, until } = await openStatusPage(t, browser, url, options);
    await until('state-word', 'failed');
    t.strictSame(await findings(page), []);
  });

  t.test(`a degraded sidecar can be read by everybody, ${name}`, async (t) => {
    const { url } = await startSidecarInFrontOf(t, `http://127.0.0.1:${await closedPort()}`, {
      config: { agentIdentity: { policy: 'chatgptAuth', onUnavailable: 'bearer' } },
    });
    await untilStatus(url, ({ status }) => status === 'degraded');
    const { page, until } = await openStatusPage(t, browser, url, options);
    await until('state-word', 'degraded');
    t.strictSame(await findings(page), []);
  });
}

t.test('a page with a fault is found out', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const { page } = await openStatusPage(t, browser, url, { bypassCSP: true });
  await page.evaluate('document.documentElement.removeAttribute("lang")');
  t.match(await findings(page), [/^html-has-lang/]);
});
