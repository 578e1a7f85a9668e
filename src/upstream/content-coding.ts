import * as zlib from 'node:zlib';

/** Thrown when a decoded body would be larger than its limit, so that no small body fills memory. */
export class DecodedTooLargeError extends Error {
  override readonly name = 'DecodedTooLargeError';
}

/** No text is compressed to less than a two hundredth; what is would only take time and memory. */
export const MAX_RATIO = 200;
/** For short bodies. */
const SPARE_BYTES = 1024 * 1024;

/** How many bytes so many may become, where they are decoded in passing. */
export function mostDecoded(coded: number): number {
  return coded * MAX_RATIO + SPARE_BYTES;
}

type Decompress = (
  bytes: Buffer,
  options: { maxOutputLength: number; finishFlush: number },
  done: (error: Error | null, decoded: Buffer) => void,
) => void;

/** A decompressor, and how it is told that bytes which end too early are no error. */
type Coding = readonly [decompress: Decompress, finishFlush: number];

const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = zlib.constants;
const GZIP: Coding = [zlib.gunzip, Z_SYNC_FLUSH];
const CODINGS: Record<string, Coding> = {
  gzip: GZIP,
  'x-gzip': GZIP,
  deflate: [inflateEither, Z_SYNC_FLUSH],
  br: [zlib.brotliDecompress, BROTLI_OPERATION_FLUSH],
};
// Node 20 and the first releases of 22 have no zstd.
if ('zstdDecompress' in zlib) {
  const { ZSTD_e_flush: flush = 1 } = zlib.constants as { ZSTD_e_flush?: number };
  CODINGS.zstd = [zlib.zstdDecompress as Decompress, flush];
}

/**
 * What is left of an `accept-encoding` when only codings that {@link decodeBody} knows may be asked
 * for; the value itself when nothing has to go.
 */
export function decodableOnly(acceptEncoding: string): string {
  const asked = acceptEncoding.split(',');
  const kept = asked.filter((entry) => {
    const name = entry.split(';', 1)[0]?.trim().toLowerCase() ?? '';
    return name === '' || name === 'identity' || Object.hasOwn(CODINGS, name);
  });
  if (kept.length === asked.length) return acceptEncoding;
  return kept.join(',').trim() || 'identity';
}

/** More codings on top of each other than any server sends. */
const MAX_CODINGS = 3;

/**
 * Takes the codings off a body (RFC 9110, section 8.4). A body that was cut off gives what it holds.
 * @param contentEncoding value of the header; null when there is none
 * @param maxBytes limit of the decoded size, after each coding
 * @returns null when a coding is unknown here, or the bytes are not what the header says
 * @throws DecodedTooLargeError
 */
export async function decodeBody(
  bytes: Buffer,
  contentEncoding: string | null,
  maxBytes: number,
): Promise<Buffer | null> {
  const names = codingsOf(contentEncoding);
  if (names.length > MAX_CODINGS) return null;
  let decoded = bytes;
  // The last one was applied last.
  for (const name of names.reverse()) {
    const coding = Object.hasOwn(CODINGS, name) ? CODINGS[name] : undefined;
    const next = coding ? await run(coding, decoded, maxBytes) : null;
    if (!next) return null;
    decoded = next;
  }
  return decoded;
}

function codingsOf(contentEncoding: string | null): string[] {
  const names = (contentEncoding ?? '').toLowerCase().split(',');
  return names.map((name) => name.trim()).filter((name) => name !== '' && name !== 'identity');
}

function run(coding: Coding, bytes: Buffer, maxBytes: number): Promise<Buffer | null> {
  const [decompress, finishFlush] = coding;
  // A response without a body, such as a 204, holds nothing to decode.
  if (bytes.length === 0) return Promise.resolve(bytes);
  return new Promise((resolve, reject) => {
    decompress(bytes, { maxOutputLength: maxBytes, finishFlush }, (error, decoded) => {
      if (!error) resolve(decoded);
      else if ('code' in error && error.code === 'ERR_BUFFER_TOO_LARGE') {
        reject(new DecodedTooLargeError(`more than ${maxBytes} bytes when decoded`));
      } else resolve(null);
    });
  });
}

// The name means the zlib format, but some servers send the bare one (RFC 9110, section 8.4.1.2).
function inflateEither(...[bytes, options, done]: Parameters<Decompress>): void {
  const [first = 0, second = 0] = bytes;
  const hasZlibHead = (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;
  (hasZlibHead ? zlib.inflate : zlib.inflateRaw)(bytes, options, done);
}
