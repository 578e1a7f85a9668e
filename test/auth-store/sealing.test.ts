import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompactEncrypt, decodeProtectedHeader } from 'jose';
import t, { type Test } from 'tap';
import { FileSealer, KeyRing } from '../../src/auth-store/sealing.ts';
import { captureLog } from '../helpers/captured-log.ts';

const COUNTERS = { login: 7, rotation: 3, registration: 1 };

async function newRing(): Promise<KeyRing> {
  return KeyRing.parse(await KeyRing.generate());
}

function keysOf(...sets: string[]): string {
  return JSON.stringify({ keys: sets.flatMap((set) => JSON.parse(set).keys) });
}

t.test('what was sealed is opened under the same name and counters', async (t) => {
  const ring = await newRing();
  const sealed = await ring.seal('{"a":"ä"}', 'ci', COUNTERS);
  t.equal(await ring.open(sealed, 'ci', COUNTERS), '{"a":"ä"}');
  t.notMatch(Buffer.from(sealed, 'base64url').toString(), 'ä');
  t.match(decodeProtectedHeader(sealed), { alg: 'dir', enc: 'A256GCM', name: 'ci', ...COUNTERS });
});

t.test('it opens nowhere else', async (t) => {
  const ring = await newRing();
  const sealed = await ring.seal('{}', 'ci', COUNTERS);
  await t.rejects(ring.open(sealed, 'other', COUNTERS), { message: /its name differs/ });
  for (const counter of ['login', 'rotation', 'registration'] as const) {
    const others = { ...COUNTERS, [counter]: COUNTERS[counter] + 1 };
    const message = new RegExp(`its ${counter} differs`);
    await t.rejects(ring.open(sealed, 'ci', others), { message, code: 'AUTH_STORE_UNAVAILABLE' });
  }
});

t.test('whoever has no key cannot alter or forge one', async (t) => {
  const ring = await newRing();
  const sealed = await ring.seal('{}', 'ci', COUNTERS);
  const [header = '', ...rest] = sealed.split('.');
  const claims = JSON.parse(Buffer.from(header, 'base64url').toString());
  const altered = Buffer.from(JSON.stringify({ ...claims, rotation: 4 })).toString('base64url');
  const newer = { ...COUNTERS, rotation: 4 };
  await t.rejects(ring.open([altered, ...rest].join('.'), 'ci', newer), { message: /was altered/ });
  const forged = await new CompactEncrypt(new TextEncoder().encode('{}'))
    .setProtectedHeader({ ...claims, enc: 'A128GCM' })
    .encrypt(new Uint8Array(16));
  await t.rejects(ring.open(forged, 'ci', COUNTERS), { message: /was altered/ });
  await t.rejects(ring.open('no JWE', 'ci', COUNTERS), { message: /store\.keyFile has no key/ });
});

t.test('the first key seals, all of them open', async (t) => {
  const [a, b] = [await KeyRing.generate(), await KeyRing.generate()];
  const [before, during] = [await KeyRing.parse(a), await KeyRing.parse(keysOf(b, a))];
  const old = await before.seal('{}', 'ci', COUNTERS);
  t.equal(await during.open(old, 'ci', COUNTERS), '{}');
  const fresh = await during.seal('{}', 'ci', COUNTERS);
  t.equal(decodeProtectedHeader(fresh).kid, (await KeyRing.parse(b)).firstId);
  await t.rejects(before.open(fresh, 'ci', COUNTERS), {
    message: /^store\.keyFile has no key .{8}, which sealed the login; add that key/,
  });
});

const WRONG: [what: string, text: string, message: RegExp][] = [
  ['no JSON', 'secret', /holds no JWK Set/],
  ['no keys', '{"keys":[]}', /holds no JWK Set with a key; "store key" prints a new one/],
  ['another type', '{"keys":[{"kty":"RSA","k":"x"}]}', /keys\.0 is not a key of kty "oct"/],
  ['a short key', '{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}', /keys\.0 must hold 32 bytes/],
  ['no object', '{"keys":["secret"]}', /keys\.0 is not a JWK/],
];
for (const [what, text, message] of WRONG) {
  t.test(`a key file with ${what} is refused in words, without its text`, async (t) => {
    const error = await KeyRing.parse(text).catch((thrown: Error) => thrown);
    t.match((error as Error).message, message);
    t.notMatch((error as Error).message, /secret|c2hvcnQ/);
  });
}

t.test('two keys cannot have one name', async (t) => {
  const [key] = JSON.parse(await KeyRing.generate()).keys;
  const named = JSON.stringify({ keys: [{ ...key, kid: 'mine' }] });
  await t.rejects(KeyRing.parse(named), { message: /kid that is not its thumbprint/ });
  const { kid: _, ...unnamed } = key;
  t.equal((await KeyRing.parse(JSON.stringify({ keys: [unnamed] }))).firstId, key.kid);
});

function keyFile(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'sidecar-key-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  return join(folder, 'key.json');
}

t.test('a key file is read again when it changes, and a bad one changes nothing', async (t) => {
  const path = keyFile(t);
  const { log } = captureLog();
  const [a, b] = [await KeyRing.generate(), await KeyRing.generate()];
  const write = (text: string) => {
    writeFileSync(`${path}.new`, text);
    renameSync(`${path}.new`, path);
  };
  write(a);
  const sealer = new FileSealer(path, 'ci', log);
  const sealed = await sealer.seal('{}', COUNTERS);
  write('{}');
  t.equal(await sealer.open(sealed, COUNTERS), '{}');
  write(keysOf(b, a));
  t.equal(await sealer.open(sealed, COUNTERS), '{}');
  const next = await sealer.seal('{}', COUNTERS);
  t.not(sealer.keyIdOf(next), sealer.keyIdOf(sealed));
});

t.test('a key file that is not there is named', async (t) => {
  const path = keyFile(t);
  const sealer = new FileSealer(path, 'ci', captureLog().log);
  await t.rejects(sealer.seal('{}', COUNTERS), {
    message: /^store\.keyFile: cannot read .*ENOENT/,
  });
});
