/**
 * All of standard input as text. The buffers that it came in are overwritten; the text itself
 * cannot be, so it goes into what it is for and nowhere else.
 */
export async function readAllText(input: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of input) chunks.push(chunk);
  const whole = Buffer.concat(chunks);
  const text = whole.toString('utf8');
  for (const buffer of [whole, ...chunks]) buffer.fill(0);
  return text;
}
