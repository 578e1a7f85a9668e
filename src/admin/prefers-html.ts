import type { IncomingHttpHeaders } from 'node:http';

interface Range {
  type: string;
  quality: number;
}

/**
 * Whether the client would rather have HTML than JSON (RFC 9110, section 12.5.1). A tie is JSON, so
 * that `curl` and `fetch`, which take anything, get what programs can read.
 */
export function prefersHtml(accept: string | undefined): boolean {
  if (accept === undefined) return false;
  const ranges = accept.split(',').map(parseRange);
  return qualityOf(ranges, 'text', 'html') > qualityOf(ranges, 'application', 'json');
}

/**
 * Whether a browser asks for a page to show, and not a script or an image on one for its content.
 * Browsers say so (Fetch Metadata); whoever does not is taken by what it would rather have.
 */
export function isNavigation(headers: IncomingHttpHeaders): boolean {
  const mode = headers['sec-fetch-mode'];
  return (mode === undefined || mode === 'navigate') && prefersHtml(headers.accept);
}

function parseRange(text: string): Range {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  const quality = weight === undefined ? 1 : Number(weight.slice(2));
  return { type, quality: quality >= 0 && quality <= 1 ? quality : 0 };
}

/** The most specific range counts, not the one with the highest weight. */
function qualityOf(ranges: readonly Range[], type: string, subtype: string): number {
  for (const wanted of [`${type}/${subtype}`, `${type}/*`, '*/*']) {
    const range = ranges.find((candidate) => candidate.type === wanted);
    if (range) return range.quality;
  }
  return 0;
}
