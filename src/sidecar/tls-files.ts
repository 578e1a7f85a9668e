import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { createSecureContext } from 'node:tls';
import { type AltName, readAltNames } from '../base/alt-names.ts';
import { ConfigError } from '../base/errors.ts';
import { Secret } from '../base/secret.ts';
import type { Place } from '../config/places.ts';
import type { TlsIdentity } from '../inbound/tls.ts';
import { readCertificates } from './authorities.ts';
import { readNamedFile } from './settings.ts';

/** The files of a listener with TLS. */
export interface TlsFiles {
  /** Where the configuration has them, for messages: `listen.tls`. */
  key: string;
  certFile: string;
  keyFile: string;
  clientCaFile: string | null;
}

/** What the files of a listener held when they were read. */
export interface TlsRead {
  identity: TlsIdentity;
  certificate: ServerCertificate;
}

/** The certificate of a listener, for people. */
export interface ServerCertificate {
  names: AltName[];
  /** Whether a client that connects to this name or address accepts it. */
  covers: (host: string) => boolean;
  /** SHA-256 in hex. */
  fingerprint: string;
  issuer: string;
  /** Milliseconds since 1970. */
  validFrom: number;
  expiresAt: number;
  /** How many certificates are in the file; 1 without issuers. */
  chainLength: number;
  /** Something with which clients may refuse it, and what to do; null when there is nothing. */
  chainProblem: string | null;
}

/**
 * @returns null without TLS
 * @throws ConfigError when its settings do not go together
 */
export function tlsFilesOf({ key: place, listen }: Place): TlsFiles | null {
  const { certFile, keyFile, clientCaFile, clientNames } = listen.tls;
  const key = `${place}.tls`;
  const refuse = (problem: string): never => {
    throw new ConfigError(`${key}.${problem}`);
  };
  if (certFile === null) {
    if (keyFile !== null) refuse('keyFile is set without certFile; name the certificate too');
    if (clientCaFile !== null || clientNames.length > 0) {
      refuse('clientCaFile and clientNames need TLS; set certFile and keyFile');
    }
    return null;
  }
  if (listen.socket !== null) {
    refuse(`certFile does not go with ${place}.socket, which needs no TLS; leave one of them out`);
  }
  if (keyFile === null) return refuse('certFile is set without keyFile; name the key too');
  if (clientCaFile !== null && clientNames.length === 0) {
    refuse(
      'clientNames is empty, so clientCaFile lets nobody in; name the clients, or leave both out',
    );
  }
  if (clientCaFile === null && clientNames.length > 0) {
    refuse('clientNames needs clientCaFile, the authority of the client certificates');
  }
  return { key, certFile, keyFile, clientCaFile };
}

/**
 * Reads the files and checks that they belong together, because TLS would only fail at the first client.
 * @throws ConfigError
 */
export async function readTls({
  key,
  certFile,
  keyFile,
  clientCaFile,
}: TlsFiles): Promise<TlsRead> {
  const cert = await readCertificates({ name: `${key}.certFile`, path: certFile });
  const text = await readNamedFile(`${key}.keyFile`, keyFile);
  const authorities =
    clientCaFile === null
      ? null
      : await readCertificates({ name: `${key}.clientCaFile`, path: clientCaFile });
  const chain = cert.map((block) => new X509Certificate(block));
  const [leaf] = chain;
  const privateKey = parseKey(`${key}.keyFile`, keyFile, text);
  if (!leaf?.checkPrivateKey(privateKey)) {
    throw new ConfigError(
      `${key}.keyFile: ${keyFile} is not the key of the first certificate in ${certFile}`,
    );
  }
  const identity = { cert: cert.join('\n'), key: new Secret(text), clientAuthorities: authorities };
  try {
    createSecureContext({ cert: identity.cert, key: text });
  } catch (error) {
    throw new ConfigError(`${key}: TLS cannot use this certificate (${(error as Error).message})`);
  }
  return { identity, certificate: describe(leaf, chain) };
}

function parseKey(name: string, path: string, text: string): KeyObject {
  if (/^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw new ConfigError(
      `${name}: the key in ${path} is encrypted; write it without a passphrase`,
    );
  }
  try {
    return createPrivateKey(text);
  } catch {
    throw new ConfigError(`${name}: ${path} holds no private key in PEM form`);
  }
}

function describe(leaf: X509Certificate, chain: readonly X509Certificate[]): ServerCertificate {
  return {
    names: readAltNames(leaf.subjectAltName),
    covers: (host) => (isIP(host) ? leaf.checkIP(host) : leaf.checkHost(host)) !== undefined,
    fingerprint: leaf.fingerprint256.replaceAll(':', '').toLowerCase(),
    issuer: leaf.issuer.split('\n').join(', '),
    validFrom: Date.parse(leaf.validFrom),
    expiresAt: Date.parse(leaf.validTo),
    chainLength: chain.length,
    chainProblem: problemOfChain(chain),
  };
}

/** Clients differ in how they find an issuer that is not where TLS wants it (RFC 8446, section 4.4.2). */
function problemOfChain(chain: readonly X509Certificate[]): string | null {
  const [leaf] = chain;
  if (leaf && readAltNames(leaf.subjectAltName).length === 0) {
    return 'it has no name (subjectAltName), so clients refuse it';
  }
  if (leaf?.ca && chain.length > 1) return 'the first certificate is that of an authority';
  for (const [index, certificate] of chain.slice(0, -1).entries()) {
    const next = chain[index + 1];
    if (next && !certificate.checkIssued(next)) {
      return `certificate ${index + 2} did not issue certificate ${index + 1}, as clients expect`;
    }
  }
  return null;
}

/** What a person should know of a certificate at this time; empty when all is well. */
export function certificateWarnings(
  { key, certFile }: TlsFiles,
  { validFrom, expiresAt, chainProblem }: ServerCertificate,
  now: number,
): string[] {
  const lines: string[] = [];
  const place = `${key}.certFile: the certificate in ${certFile}`;
  const day = (time: number) => new Date(time).toISOString();
  if (expiresAt <= now) lines.push(`${place} expired at ${day(expiresAt)}; renew it`);
  if (validFrom > now)
    lines.push(`${place} is not valid before ${day(validFrom)}; check the clock`);
  if (chainProblem !== null) lines.push(`${place}: ${chainProblem}`);
  return lines;
}

/** Whether every user of this machine can read the key. */
export async function isKeyOpen({ keyFile }: TlsFiles): Promise<boolean> {
  const info = await stat(keyFile).catch(() => null);
  return info !== null && (info.mode & 0o004) !== 0;
}
