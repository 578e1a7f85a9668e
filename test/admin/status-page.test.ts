import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import t from 'tap';
import { DEFAULT_ROUTES } from '../../src/proxy/routes.ts';
import { launchBrowser, openStatusPage } from '../helpers/browser.ts';
import { identityRecord, invalidFile, loginWithIdentity, nothing } from '../helpers/credentials.ts';
import { send, sendRaw } from '../helpers/exchange.ts';
import {
  MODELS,
  makeFolder,
  RESPONSES,
  startSidecarInFrontOf,
  startSidecarWithEmulator,
} from '../helpers/sidecar.ts';
import { makeTls } from '../helpers/tls-listener.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { closedPort } from '../helpers/upstream.ts';

let browser: Browser;
t.before(async () => {
  browser = await launchBrowser(t);
});

t.test('shows a healthy sidecar, and asks nobody but it', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: loginWithIdentity });
  await untilStatus(url, ({ status }) => status === 'ready');
  const { page, complaints, requests, text, until } = await openStatusPage(t, browser, url);
  await until('state-word', 'ready');
  t.equal(await page.title(), 'ready · codex-auth-sidecar');
  t.equal(await text('credential'), 'chatgpt · pro');
  t.equal(await text('identity-state'), 'ready');
  t.equal(await text('certificate'), 'none: plain HTTP');
  t.match(await text('countdown'), /^\d+ d \d+ h$/);
  t.match(await text('uptime'), /^up \d+ s$/);
  t.equal(await page.locator('#routes tr').count(), DEFAULT_ROUTES.length);
  t.equal(await page.locator('#problems').isVisible(), false);
  t.equal(await page.locator('#state').getAttribute('data-state'), 'ready');
  t.strictSame(requests, [`${url}/auth/status`, `${url}/auth/events`]);
  t.strictSame(complaints, []);
});

t.test('follows what happens without a reload', async (t) => {
  const { url, emulator, codexHome } = await startSidecarWithEmulator(t, { credential: nothing });
  await untilStatus(url, ({ status }) => status === 'unauthenticated');
  const { page, complaints, requests, text, until } = await openStatusPage(t, browser, url);
  await until('state-word', 'unauthenticated');
  t.equal(await text('credential'), 'none');
  const { authJson } = emulator.issueLogin({ planType: 'plus' });
  await writeFile(join(codexHome, 'auth.json'), JSON.stringify(authJson));
  await until('state-word', 'ready');
  await until('credential', 'chatgpt · plus');
  await send(url + MODELS);
  await send(`${url}/backend-api/wham/remote/control/x`);
  await until('denied', '1');
  await page.locator('#kinds .tag[data-kind=bearer]').waitFor();
  const refusals = await page.locator('#refusals').textContent();
  t.match(refusals, 'GET /backend-api/wham/remote/control/x');
  t.match(refusals, /AUTH_ROUTE_DENIED.*wider purpose/, 'with what to do');
  t.equal(await text('rate-begin'), '1 min ago', 'the chart begins with what there is');
  t.match(await page.locator('#bars-fine').getAttribute('d'), /^M[\d. ]+v/);
  t.match(await page.locator('#line-median').getAttribute('d'), /^M[\d. ]+h5/);
  t.equal(requests.length, 2, 'one page, one stream');
  t.strictSame(complaints, []);
});

t.test('signs the sidecar in, and is ready by itself', async (t) => {
  const { url, emulator } = await startSidecarWithEmulator(t, { credential: nothing });
  emulator.settings.deviceIntervalSeconds = 1;
  const { page, complaints, text, until } = await openStatusPage(t, browser, url);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#sign-in-code').waitFor();
  await page.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('#sign-in-code').waitFor();
  const link = page.getByRole('link', { name: `${emulator.url}/codex/device` });
  t.equal(await link.getAttribute('href'), `${emulator.url}/codex/device`);
  t.equal(await link.getAttribute('target'), '_blank');
  t.match(await link.getAttribute('rel'), /\bnoopener\b/);
  t.match(await text('sign-in'), 'Type it only if you began this sign-in yourself.');
  t.match(await text('sign-in-left'), /^1[45] min \d+ s$/);
  emulator.decideDeviceLogin(await text('sign-in-code'), { planType: 'plus' });
  await until('state-word', 'ready');
  await until('credential', 'chatgpt · plus');
  await page.locator('#sign-in').waitFor({ state: 'hidden' });
  t.strictSame(complaints, []);
});

t.test('a sign-in that fails says why, and can be begun again', async (t) => {
  const { url, emulator } = await startSidecarWithEmulator(t, { credential: nothing });
  Object.assign(emulator.settings, { deviceLogin: false, deviceIntervalSeconds: 1 });
  const { page, text, until } = await openStatusPage(t, browser, url);
  const button = page.getByRole('button', { name: 'Sign in' });
  await button.click();
  await until('sign-in-problem', 'not enabled at');
  emulator.settings.deviceLogin = true;
  await button.click();
  await page.locator('#sign-in-code').waitFor();
  t.equal(await page.locator('#sign-in-problem').isVisible(), false);
  emulator.decideDeviceLogin(await text('sign-in-code'), 'denied');
  await until('sign-in-problem', 'denied on the page');
  t.ok(await button.isVisible());
});

t.test('says what is wrong', async (t) => {
  const origin = `http://127.0.0.1:${await closedPort()}`;
  const degraded = await startSidecarInFrontOf(t, origin, {
    config: { agentIdentity: { policy: 'chatgptAuth', onUnavailable: 'bearer' } },
  });
  await untilStatus(degraded.url, ({ status }) => status === 'degraded');
  const one = await openStatusPage(t, browser, degraded.url);
  await one.until('state-word', 'degraded');
  t.match(await one.text('problems'), /^Identity: agent registration: no response/);
  t.strictSame(one.complaints, []);

  const failed = await startSidecarWithEmulator(t, { credential: invalidFile });
  await untilStatus(failed.url, ({ status }) => status === 'failed');
  const two = await openStatusPage(t, browser, failed.url);
  await two.until('state-word', 'failed');
  t.ok(await two.page.locator('#problems').isVisible());
  t.strictSame(two.complaints, []);
});

t.test('shows the certificate of the listener, and whether a newer one was refused', async (t) => {
  const tls = await makeTls(t);
  const origin = `http://127.0.0.1:${await closedPort()}`;
  const { url } = await startSidecarInFrontOf(t, origin, {
    config: { listen: { tls: tls.config } },
  });
  const trusting = { ignoreHTTPSErrors: true };
  const { page, complaints, text, until } = await openStatusPage(t, browser, url, trusting);
  await until('certificate', '127.0.0.1, localhost');
  t.match(await text('certificate-left'), /^ends in \d+ d \d+ h$/);
  t.equal(await page.locator('#problems').isVisible(), false);
  const names = ['DNS:renewed.example', 'IP:127.0.0.1'];
  await writeFile(tls.config.certFile, tls.authority.issue({ names }).cert);
  await until('problems', 'Certificate: listen.tls.keyFile');
  await until('certificate-left', 'a newer one was refused');
  t.equal(await text('certificate'), '127.0.0.1, localhost', 'the one in use');
  await tls.renew({ names });
  await until('certificate', 'renewed.example, 127.0.0.1');
  await page.locator('#problems').waitFor({ state: 'hidden' });
  t.notMatch(await text('certificate-left'), 'refused');
  t.strictSame(complaints, []);
});

t.test('shows what clients took, and limits as bars', async (t) => {
  const tokensFile = join(await makeFolder(t), 'tokens');
  const digest = createHash('sha256').update('secret').digest('hex');
  await writeFile(tokensFile, `agent-1:${digest} input-tokens=4000`);
  const { url, emulator } = await startSidecarWithEmulator(t, {
    config: { clients: { tokensFile } },
  });
  const inTwoHours = Math.floor(Date.now() / 1000) + 2 * 3600 + 90;
  const headers = {
    'x-codex-primary-used-percent': '96',
    'x-codex-primary-window-minutes': '300',
    'x-codex-primary-reset-at': String(inTwoHours),
  };
  emulator.addFault({ path: RESPONSES, times: 0, headers });
  const { page, complaints } = await openStatusPage(t, browser, url);
  await page.locator('#account-limits', { hasText: 'not told any' }).waitFor();
  const credential = { 'x-sidecar-token': 'secret' };
  await send(url + RESPONSES, { method: 'POST', headers: credential, body: '{}' });
  const limit = page.locator('#account-limits .limit');
  await limit.filter({ hasText: /codex, 5 h.*96 % used.*resets in 2 h 1 min/ }).waitFor();
  t.equal(await limit.locator('.meter').getAttribute('data-level'), 'high');
  const bar = await limit
    .locator('.meter div')
    .evaluate((div) => div.getBoundingClientRect().width);
  const all = await limit.locator('.meter').evaluate((div) => div.getBoundingClientRect().width);
  t.ok(Math.abs(bar / all - 0.96) < 0.01, 'as wide as it is full');
  const row = page.locator('#clients tr', { hasText: 'agent-1' });
  const input = String(emulator.records[0]?.usage?.input).replace(/(?=\d{3}$)/, '\u202f');
  await row.filter({ hasText: `${input} of 4\u202f000 input tokens` }).waitFor();
  t.equal(await row.getByRole('meter').getAttribute('aria-valuemax'), '100');
  t.strictSame(complaints, []);
});

t.test('a sidecar that is gone is said to be', async (t) => {
  const { url, sidecar } = await startSidecarWithEmulator(t);
  const { page, until } = await openStatusPage(t, browser, url);
  await until('state-word', 'ready');
  await sidecar.stop();
  await until('state-word', 'unreachable');
  t.equal(await page.locator('#live').isVisible(), false);
});

t.test('what others write is text and never markup', async (t) => {
  const attack = '<img src=x onerror=alert(1)>';
  const { url, port } = await startSidecarWithEmulator(t, {
    credential: (emulator) => {
      const given = identityRecord(emulator);
      const { agent_identity } = given.authJson as { agent_identity: object };
      const email = `x@${attack}`;
      return {
        authJson: { ...(given.authJson as object), agent_identity: { ...agent_identity, email } },
      };
    },
  });
  await untilStatus(url, ({ account }) => account !== null);
  const { page, complaints, text, until } = await openStatusPage(t, browser, url);
  await until('account', attack);
  t.equal(await text('account').then((shown) => shown.startsWith(`x…@${attack}`)), true);
  const head = 'HTTP/1.1\r\nhost: localhost\r\nconnection: close';
  await sendRaw(t, port, `GET /<script>alert(1)</script> ${head}\r\n\r\n`);
  await page.locator('#refusals', { hasText: '<script>' }).waitFor();
  t.equal(await page.locator('main img, main b, main script').count(), 0);
  t.strictSame(complaints, []);
});

const OVERFLOWING_CARDS =
  "[...document.querySelectorAll('.card')].filter((card) => card.scrollWidth > card.clientWidth).map((card) => card.textContent)";

t.test('fits a phone, in light and in dark', async (t) => {
  const { url } = await startSidecarWithEmulator(t, { credential: loginWithIdentity });
  await untilStatus(url, ({ status }) => status === 'ready');
  await send(`${url}/backend-api/${'long-segment-without-any-end'.repeat(6)}`);
  await send(`${url}/backend-api/models`, { headers: { origin: 'https://page.example' } });
  const grounds = new Set<string>();
  for (const colorScheme of ['light', 'dark'] as const) {
    const viewport = { width: 360, height: 740 };
    const { page, until } = await openStatusPage(t, browser, url, { viewport, colorScheme });
    await until('state-word', 'ready');
    await page.locator('#kinds .tag').first().waitFor();
    t.equal(await page.evaluate('document.documentElement.scrollWidth'), 360);
    t.strictSame(await page.evaluate(OVERFLOWING_CARDS), []);
    grounds.add(await page.evaluate('getComputedStyle(document.body).backgroundColor'));
    t.ok(((await page.evaluate(LEAST_CONTRAST)) as number) >= 4.5, `contrast in ${colorScheme}`);
  }
  t.equal(grounds.size, 2);
});

t.test('can be read without seeing it', async (t) => {
  const { url } = await startSidecarWithEmulator(t);
  const options = { reducedMotion: 'reduce' } as const;
  const { page, until } = await openStatusPage(t, browser, url, options);
  await until('state-word', 'ready');
  t.equal(await page.getByRole('status').textContent(), 'ready');
  t.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
  t.equal(
    await page.getByRole('img', { name: /^Requests a second over ten minutes: / }).count(),
    1,
  );
  t.equal(await page.getByRole('columnheader', { name: 'Path' }).count(), 1);
  t.equal(await page.getByRole('main').count(), 1);
  const animation = "getComputedStyle(document.getElementById('live'), '::before').animationName";
  t.equal(await page.evaluate(animation), 'none');
});

/** The least contrast of any text with what it stands on (WCAG 2, section 1.4.3). */
const LEAST_CONTRAST = `(() => {
  const light = (color) => {
    const [r, g, b] = color.match(/[\\d.]+/g).map(Number).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    const color = getComputedStyle(node).backgroundColor;
    return color === 'rgba(0, 0, 0, 0)' && node.parentElement ? ground(node.parentElement) : color;
  };
  const texts = [...document.querySelectorAll('body *')].filter((node) =>
    [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim() !== ''));
  return Math.min(...texts.filter((node) => !node.closest('noscript, script, style')).map((node) => {
    const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  }));
})()`;
