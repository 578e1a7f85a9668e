import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder } from './sidecar.ts';

/** A tokens file; the token of a client named `a` is `token of a`. */
export interface ClientsFile {
  path: string;
  /** @param limits what stands behind name and digest on the line of each client */
  write(limits: Record<string, string>): Promise<void>;
}

export async function makeClientsFile(
  t: Test,
  limits: Record<string, string>,
): Promise<ClientsFile> {
  const path = join(await makeFolder(t), 'tokens');
  const file: ClientsFile = {
    path,
    write: (clients) => writeFile(path, Object.entries(clients).map(lineOf).join('')),
  };
  await file.write(limits);
  return file;
}

export const headersOf = (name: string) => ({ 'x-sidecar-token': `token of ${name}` });

function lineOf([name, limits]: [string, string]): string {
  const digest = createHash('sha256').update(`token of ${name}`).digest('hex');
  return `${name}:${digest} ${limits}\n`;
}
