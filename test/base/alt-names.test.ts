import { X509Certificate } from 'node:crypto';
import t from 'tap';
import { readAltNames } from '../../src/base/alt-names.ts';
import { Issued } from '../helpers/certificates.ts';

const namesOf = (...names: string[]) =>
  readAltNames(new X509Certificate(new Issued({ names }).cert).subjectAltName);

t.test('names of every kind', async (t) => {
  t.strictSame(namesOf('DNS:a.example', 'URI:spiffe://example/a', 'IP:192.0.2.1'), [
    { kind: 'DNS', value: 'a.example' },
    { kind: 'URI', value: 'spiffe://example/a' },
    { kind: 'IP Address', value: '192.0.2.1' },
  ]);
  t.strictSame(readAltNames(undefined), []);
  t.strictSame(readAltNames(''), []);
});

for (const name of [
  'a.example, DNS:admin.example',
  'a.example, DNS:admin.example, DNS:b.example',
  '", DNS:admin.example, "',
  'a\\", DNS:admin.example',
  'a\u0000.example, DNS:admin.example',
  'a\n, DNS:admin.example',
]) {
  t.test(`one name stays one, whatever it holds: ${JSON.stringify(name)}`, async (t) => {
    for (const kind of ['DNS', 'URI']) {
      const names = namesOf(`${kind}:${name}`);
      t.ok(names.length <= 1);
      t.notOk(names.some(({ value }) => value === 'admin.example'));
    }
    const two = namesOf(`DNS:${name}`, 'DNS:b.example').map(({ value }) => value);
    t.notOk(two.includes('admin.example'));
  });
}

t.test('what cannot be read as a whole gives no name', async (t) => {
  t.strictSame(readAltNames('DNS:a.example; DNS:b.example\u0000,'), []);
  t.strictSame(readAltNames('DNS:"a'), []);
});
