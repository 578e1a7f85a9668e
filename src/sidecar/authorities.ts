import { X509Certificate } from 'node:crypto';
import { ConfigError } from '../base/errors.ts';
import { type NamedFile, readNamedFile, type Settings } from './settings.ts';

/** OpenSSL's own form, `TRUSTED CERTIFICATE`, is also what Codex takes. */
const BEGIN = /(?=-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----)/;

type TrustSettings = Pick<Settings, 'config' | 'trust'>;

/** Where all trust in upstreams comes from, Node.js's own part first; for the log and `doctor`. */
export function trustSources(settings: TrustSettings): string[] {
  return [
    settings.trust.ofNode,
    ...authorityFiles(settings).map(({ name, path }) => `${name} ${path}`),
  ];
}

/**
 * The certificate authorities that are trusted beside those of Node.js, each in PEM form. Those of
 * all files add up: none takes another's place. They are checked here because TLS ignores what it
 * cannot read and would then fail at the first request.
 * @throws ConfigError
 */
export async function readAuthorities(settings: TrustSettings): Promise<string[]> {
  return (await Promise.all(authorityFiles(settings).map(readCertificates))).flat();
}

/** Those of the variables alone, for commands that need no configuration. @throws ConfigError */
export async function readAuthoritiesOf({ files }: Settings['trust']): Promise<string[]> {
  return (await Promise.all(files.map(readCertificates))).flat();
}

function authorityFiles({ config, trust }: TrustSettings): NamedFile[] {
  const { caFile } = config.upstream;
  return [...(caFile === null ? [] : [{ name: 'upstream.caFile', path: caFile }]), ...trust.files];
}

/** @throws ConfigError when the file holds none, or one that is damaged */
export async function readCertificates({ name, path }: NamedFile): Promise<string[]> {
  const text = await readNamedFile(name, path);
  const blocks = text.split(BEGIN).filter((block) => BEGIN.test(block));
  if (blocks.length === 0) {
    throw new ConfigError(`${name}: ${path} holds no certificate in PEM form`);
  }
  blocks.forEach((block, index) => {
    try {
      new X509Certificate(block);
    } catch {
      throw new ConfigError(`${name}: certificate ${index + 1} in ${path} is damaged`);
    }
  });
  return blocks;
}
