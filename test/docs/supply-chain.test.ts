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

t.test(
  'one package wants to run a script when it is installed, and does not need to',
  async (t) => {
    const scripted = installed.filter(([, { hasInstallScript }]) => hasInstallScript);
    // The image is built, and the suite passes, with --ignore-scripts.
    t.strictSame(
      scripted.map(([path]) => path),
      ['node_modules/esbuild'],
    );
  },
);

t.test('every package is held to its content', async (t) => {
  for (const [path, { integrity = '' }] of installed) t.match(integrity, /^sha512-/, path);
});

t.test('the package itself runs nothing when it is installed', async (t) => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
  for (const name of ['preinstall', 'install', 'postinstall', 'prepare']) {
    t.notOk(name in scripts, name);
  }
});
