/** A head of HTTP/1.1. */
export function head(start: string, ...lines: string[]): string {
  return [start, ...lines, '\r\n'].join('\r\n');
}

/** A request head for the sidecar. @param start method and target */
export function requestHead(start: string, ...lines: string[]): string {
  return head(`${start} HTTP/1.1`, 'Host: localhost', ...lines);
}

/** A body in chunks of the given sizes, the last of them of the rest; then the trailers. */
export function chunked(
  body: Buffer,
  sizes: readonly number[] = [],
  ...trailers: string[]
): Buffer {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of [...sizes, body.length]) {
    const piece = body.subarray(at, at + size);
    at += piece.length;
    if (piece.length > 0) pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, CRLF);
  }
  pieces.push(Buffer.from(head('0', ...trailers), 'latin1'));
  return Buffer.concat(pieces);
}

const CRLF = Buffer.from('\r\n');

/** A buffer in pieces of `size` bytes. */
export function split(bytes: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}
