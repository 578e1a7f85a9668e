import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import type { Test } from 'tap';
import { findChromium } from './chromium.ts';

/** A Chromium that goes with the test. */
export async function launchBrowser(t: Pick<Test, 'teardown'>): Promise<Browser> {
  const found = findChromium();
  if (found === null) throw new Error('no Chromium found: "npm test" gets one');
  const { executablePath, env } = found;
  const browser = await chromium.launch({
    executablePath,
    env: { ...process.env, ...env },
    // Its own sandbox cannot be set up by root, nor in most containers.
    args: ['--no-sandbox'],
  });
  t.teardown(() => browser.close());
  return browser;
}

export interface OpenPage {
  page: Page;
  /** Whatever the browser complained of: console, exceptions, policy violations. */
  complaints: string[];
  /** URLs that were asked for. */
  requests: string[];
  /** Text of an element. */
  text(id: string): Promise<string>;
  /** Waits until an element says just that. */
  until(id: string, text: string): Promise<void>;
}

/** Opens the status page of a sidecar. */
export async function openStatusPage(
  t: Test,
  browser: Browser,
  url: string,
  options: BrowserContextOptions = {},
): Promise<OpenPage> {
  const context = await browser.newContext(options);
  t.teardown(() => context.close());
  const page = await context.newPage();
  const complaints: string[] = [];
  const requests: string[] = [];
  page.on('console', (message) => complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => complaints.push(`failed: ${request.url()}`));
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(`${url}/auth/status`);
  const text = async (id: string) => (await page.locator(`#${id}`).textContent()) ?? '';
  const until = async (id: string, wanted: string) => {
    await page.locator(`#${id}`, { hasText: wanted }).waitFor({ state: 'attached' });
  };
  return { page, complaints, requests, text, until };
}
