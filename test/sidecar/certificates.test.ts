import { rootCertificates } from 'node:tls';
import t, { type Test } from 'tap';
import { readAuthorities } from '../../src/sidecar/ca-file.ts';
import { makeFile } from '../helpers/program.ts';

const [FIRST = '', SECOND = ''] = rootCertificates;

async function refuses(t: Test, content: string, problem: (path: string) => string): Promise<void> {
  const path = await makeFile(t, 'ca.pem', content);
  const message = `upstream.caFile: ${problem(path)}`;
  await t.rejects(readAuthorities(path), { name: 'ConfigError', message });
}

t.test('certificates in PEM form, with whatever stands between them', async (t) => {
  const text = `# ours\n${FIRST}\nsubject=CN\n${SECOND}\n`;
  t.equal(await readAuthorities(await makeFile(t, 'ca.pem', text)), text);
  t.equal(await readAuthorities(null), null);
});

t.test('a file that holds none is refused, and not quoted', async (t) => {
  const key = '-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n';
  for (const content of ['', 'hush', key]) {
    await refuses(t, content, (path) => `${path} holds no certificate in PEM form`);
  }
});

t.test('a damaged one is refused by its place', async (t) => {
  const damaged = SECOND.replace('\nMII', '\nAAA');
  const problem = (path: string) => `certificate 2 in ${path} is damaged`;
  await refuses(t, `${FIRST}\n${damaged}\n`, problem);
  await refuses(t, `${FIRST}\n${SECOND.slice(0, 200)}`, problem);
  await refuses(t, `${damaged}\n${FIRST}`, (path) => `certificate 1 in ${path} is damaged`);
});
