import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
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

const COMMON_NAME = identifier('550403');
const SUBJECT_ALT_NAME = identifier('551d11');
const ECDSA_WITH_SHA256 = sequence(identifier('2a8648ce3d040302'));

/** A `GeneralName` (RFC 5280, section 4.2.1.6). @param name e.g. `IP:127.0.0.1` or `DNS:a.example` */
function generalName(name: string): Buffer {
  const [kind, value = ''] = name.split(':');
  if (kind === 'DNS') return der(0x82, Buffer.from(value));
  if (kind === 'IP') return der(0x87, Buffer.from(value.split('.').map(Number)));
  throw new Error(`not a name for a certificate: ${name}`);
}

/**
 * A certificate (RFC 5280) that signs itself, so that trusting it takes nothing but its own file.
 * @param host the one name that it holds for, as {@link generalName} takes it
 */
export function selfSigned(host: string, expired = false): { key: string; cert: string } {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // Of two authorities of one name, OpenSSL would try only one.
  const name = `upstream ${randomBytes(4).toString('hex')}`;
  const upstream = sequence(set(sequence(COMMON_NAME, utf8String(name))));
  const names = sequence(SUBJECT_ALT_NAME, octetString(sequence(generalName(host))));
  const content = sequence(
    der(0xa0, integer(2)),
    integer(1, ...randomBytes(8)),
    ECDSA_WITH_SHA256,
    upstream,
    sequence(
      generalizedTime('20200101000000Z'),
      generalizedTime(`${expired ? 2021 : 2120}0101000000Z`),
    ),
    upstream,
    publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, sequence(names)),
  );
  const signature = bitString(sign('sha256', content, privateKey));
  const base64 = sequence(content, ECDSA_WITH_SHA256, signature).toString('base64');
  const lines = base64.replaceAll(/.{64}/g, '$&\n').trimEnd();
  const cert = `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert };
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
