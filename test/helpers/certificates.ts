import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder } from './sidecar.ts';

export interface Certificate {
  key: string;
  cert: string;
  /** File that holds `cert`. */
  path: string;
}

/** An element of DER (X.690), with its content. */
function der(tag: number, ...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const { length } = body;
  const long = length > 0xff ? [0x82, length >> 8, length & 0xff] : [0x81, length];
  return Buffer.concat([Buffer.from([tag, ...(length < 0x80 ? [length] : long)]), body]);
}

const sequence = (...content: Uint8Array[]) => der(0x30, ...content);
const set = (...content: Uint8Array[]) => der(0x31, ...content);
const integer = (...octets: number[]) => der(0x02, Buffer.from(octets));
const octetString = (content: Buffer) => der(0x04, content);
const bitString = (content: Buffer) => der(0x03, Buffer.from([0]), content);
const utf8String = (text: string) => der(0x0c, Buffer.from(text));
const identifier = (hex: string) => der(0x06, Buffer.from(hex, 'hex'));
const generalizedTime = (text: string) => der(0x18, Buffer.from(text));

const boolean = (value: boolean) => der(0x01, Buffer.from([value ? 0xff : 0]));

const COMMON_NAME = identifier('550403');
const SUBJECT_ALT_NAME = identifier('551d11');
const BASIC_CONSTRAINTS = identifier('551d13');
const EXTENDED_KEY_USAGE = identifier('551d25');
/** Below 1.3.6.1.5.5.7.3 (RFC 5280, section 4.2.1.12). */
const USAGES = { server: identifier('2b06010505070301'), client: identifier('2b06010505070302') };
const ECDSA_WITH_SHA256 = sequence(identifier('2a8648ce3d040302'));

/** A `GeneralName` (RFC 5280, section 4.2.1.6), such as `IP:127.0.0.1`, `DNS:a.example`, `URI:…`. */
function generalName(name: string): Buffer {
  const kind = name.slice(0, name.indexOf(':'));
  const value = name.slice(kind.length + 1);
  if (kind === 'DNS') return der(0x82, Buffer.from(value));
  if (kind === 'URI') return der(0x86, Buffer.from(value));
  if (kind === 'IP') return der(0x87, Buffer.from(value.split('.').map(Number)));
  throw new Error(`not a name for a certificate: ${name}`);
}

export interface CertificateFields {
  /** As {@link generalName} takes them. */
  names?: string[];
  /** Default: a new one; of two authorities of one name, OpenSSL would try only one. */
  commonName?: string;
  expired?: boolean;
  /** Until then, in milliseconds since 1970; the next century when absent. */
  until?: number;
  isAuthority?: boolean;
  /** Without it the certificate is for everything. */
  usage?: keyof typeof USAGES;
}

/** A certificate with its key, both as PEM, and what it takes to sign others. */
export class Issued {
  readonly cert: string;
  readonly key: string;
  readonly #subject: Buffer;
  readonly #privateKey: KeyObject;

  /** @param issuer null: it signs itself, so that trusting it takes nothing but its own file */
  constructor(fields: CertificateFields, issuer: Issued | null = null) {
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const { commonName = `test ${randomBytes(4).toString('hex')}`, expired = false } = fields;
    this.#privateKey = privateKey;
    this.#subject = sequence(set(sequence(COMMON_NAME, utf8String(commonName))));
    const { until = Date.UTC(expired ? 2021 : 2120, 0, 1) } = fields;
    const end = new Date(until).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
    const content = sequence(
      der(0xa0, integer(2)),
      integer(1, ...randomBytes(8)),
      ECDSA_WITH_SHA256,
      (issuer ?? this).#subject,
      sequence(generalizedTime('20200101000000Z'), generalizedTime(end)),
      this.#subject,
      publicKey.export({ type: 'spki', format: 'der' }),
      ...extensions(fields),
    );
    const signature = bitString(sign('sha256', content, (issuer ?? this).#privateKey));
    this.cert = pem(sequence(content, ECDSA_WITH_SHA256, signature));
    this.key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  }

  issue(fields: CertificateFields): Issued {
    return new Issued(fields, this);
  }
}

function extensions({ names = [], isAuthority = false, usage }: CertificateFields): Buffer[] {
  const found: Buffer[] = [];
  const add = (kind: Buffer, value: Buffer) => found.push(sequence(kind, octetString(value)));
  if (names.length > 0) add(SUBJECT_ALT_NAME, sequence(...names.map(generalName)));
  if (isAuthority) add(BASIC_CONSTRAINTS, sequence(boolean(true)));
  if (usage) add(EXTENDED_KEY_USAGE, sequence(USAGES[usage]));
  return found.length === 0 ? [] : [der(0xa3, sequence(...found))];
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').replaceAll(/.{64}/g, '$&\n').trimEnd();
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

/**
 * A certificate that signs itself.
 * @param host the one name that it holds for, as {@link generalName} takes it
 */
export function selfSigned(host: string, expired = false): { key: string; cert: string } {
  return new Issued({ names: [host], expired });
}

/** See {@link selfSigned}; in a file as well. */
export async function makeCertificate(
  t: Test,
  { name = 'IP:127.0.0.1', expired = false } = {},
): Promise<Certificate> {
  const { key, cert } = selfSigned(name, expired);
  const path = join(await makeFolder(t), 'cert.pem');
  writeFileSync(path, cert);
  return { key, cert, path };
}
