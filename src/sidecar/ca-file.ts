import { X509Certificate } from 'node:crypto';
import { ConfigError } from '../base/errors.ts';
import { readNamedFile } from './settings.ts';

const BEGIN = /(?=-----BEGIN (?:X509 )?CERTIFICATE-----)/;

/**
 * The additional certificate authorities of `upstream.caFile` as PEM text. They are checked here
 * because TLS ignores what it cannot read and would then fail at the first request.
 * @param path null: there are none
 * @throws ConfigError
 */
export async function readAuthorities(path: string | null): Promise<string | null> {
  if (path === null) return null;
  const text = await readNamedFile('upstream.caFile', path);
  const blocks = text.split(BEGIN).filter((block) => BEGIN.test(block));
  if (blocks.length === 0) {
    throw new ConfigError(`upstream.caFile: ${path} holds no certificate in PEM form`);
  }
  blocks.forEach((block, index) => {
    try {
      new X509Certificate(block);
    } catch {
      throw new ConfigError(`upstream.caFile: certificate ${index + 1} in ${path} is damaged`);
    }
  });
  return text;
}
