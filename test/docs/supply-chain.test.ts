import { readFileSync } from 'node:fs';
import t from 'tap';

interface Locked {
  dev?: boolean;
  link?: boolean;
  hasInstallScript?: boolean;
  integrity?: string;
}

const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
  packages: Record<string, Locked>;
};
const installed = Object.entries(packages).filter(([path]) => path !== '');

t.test('no dependency of the product runs a script when it is installed', async (t) => {
  const shipped = installed.filter(([, { dev }]) => !dev);
  t.ok(shipped.length > 50, `${shipped.length} packages`);
  const scripted = shipped.filter(([, { hasInstallScript }]) => hasInstallScript);
  t.strictSame(
    scripted.map(([path]) => path),
    [],
  );
});

t.test('every package is held to its content', async (t) => {
  for (const [path, { integrity = '' }] of installed) t.match(integrity, /^sha512-/, path);
});

t.test('the package itself runs nothing when it is installed', async (t) => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
    t.notOk(name in scripts, name);
  }
});
