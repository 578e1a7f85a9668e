import { createHash } from 'node:crypto';
import { BODY } from './markup.ts';
import { pageScript } from './script.ts';
import { STYLE } from './style.ts';

/** The status page: one text that never changes, and the headers that go with it. */
export interface StatusPage {
  html: string;
  headers: Record<string, string>;
}

// A dot in the accent colour; without an icon of its own a browser would ask the server for one.
const ICON = `data:image/svg+xml,${encodeURIComponent(
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="3" fill="#1f8a54"/></svg>',
)}`;

export function buildStatusPage(): StatusPage {
  const script = pageScript();
  const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>codex-auth-sidecar</title>
<link rel="icon" href="${ICON}">
<style>${STYLE}</style>
</head>
<body>${BODY}<script type="module">${script}</script></body>
</html>
`;
  return { html, headers: headersFor(script) };
}

function headersFor(script: string): Record<string, string> {
  const policy = [
    "default-src 'none'",
    `script-src ${hashOf(script)}`,
    `style-src ${hashOf(STYLE)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ];
  return {
    'content-type': 'text/html; charset=utf-8',
    'content-security-policy': policy.join('; '),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
  };
}

// Content Security Policy Level 3, section 2.3.1.
function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}
