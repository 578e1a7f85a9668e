import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { makeFolder } from './sidecar.ts';

export interface Certificate {
  key: string;
  cert: string;
  /** File that holds `cert`. */
  path: string;
}

/** `openssl ca` is the one command that takes any dates, past ones included, in every version. */
const CONFIG = `[ca]
default_ca = self
[self]
database = index.txt
new_certs_dir = issued
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
`;

/**
 * A certificate that signs itself, so that trusting it takes nothing but its own file.
 * @param name as in `subjectAltName`, e.g. `IP:127.0.0.1`
 */
export async function makeCertificate(
  t: Test,
  { name = 'IP:127.0.0.1', expired = false } = {},
): Promise<Certificate> {
  const cwd = await makeFolder(t);
  const openssl = (line: string) =>
    execFileSync('openssl', line.split(' '), { cwd, stdio: 'pipe' });
  mkdirSync(join(cwd, 'issued'));
  writeFileSync(join(cwd, 'index.txt'), '');
  writeFileSync(join(cwd, 'ca.cnf'), CONFIG);
  writeFileSync(join(cwd, 'names.cnf'), `subjectAltName = ${name}\n`);
  openssl('genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem');
  openssl('req -new -key key.pem -subj /CN=upstream -out request.pem');
  openssl(
    'ca -batch -selfsign -config ca.cnf -keyfile key.pem -in request.pem -out cert.pem -notext ' +
      `-extfile names.cnf -startdate 20200101000000Z -enddate ${expired ? 2021 : 2120}0101000000Z`,
  );
  const path = join(cwd, 'cert.pem');
  return {
    key: readFileSync(join(cwd, 'key.pem'), 'utf8'),
    cert: readFileSync(path, 'utf8'),
    path,
  };
}
