import { mainPlace } from '../../config/places.ts';
import type { Config } from '../../config/resolve.ts';
import type { Environment } from '../../sidecar/settings.ts';
import { readTls, tlsFilesOf } from '../../sidecar/tls-files.ts';

/**
 * What may keep a Codex from accepting the certificate at `url`, one line each.
 * @param own the listener there; null where it is another one, whose certificate is not known here
 * @throws ConfigError when the certificate cannot be read
 */
export async function certificateProblems(
  { protocol, hostname, port }: URL,
  own: Pick<Config, 'listen'> | null,
  env: Environment,
): Promise<string[]> {
  if (protocol !== 'https:') return [];
  const problems: string[] = [];
  const files = own && tlsFilesOf(mainPlace(own));
  const { covers, names } = files
    ? (await readTls(files)).certificate
    : { covers: null, names: [] };
  if (covers && !covers(hostname.replace(/^\[|\]$/g, ''))) {
    const known = names.map(({ value }) => `https://${value}:${port}`).join(', ') || 'none';
    problems.push(
      `the certificate is not for ${hostname}, so Codex would refuse it; pass --url with an address that it names (${known})`,
    );
  }
  if (!env.CODEX_CA_CERTIFICATE && !env.SSL_CERT_FILE) {
    problems.push(
      'if the authority of the certificate is a private one, set CODEX_CA_CERTIFICATE=FILE for Codex',
    );
  }
  return problems;
}
