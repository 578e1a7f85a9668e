// tap ships built with its TypeScript plugin, which does not run under TypeScript 7. The first test
// run after an install would fail on it, so tap is rebuilt once with the plugins of `.taprc`.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const built = readFileSync('node_modules/@tapjs/test/test-built/dist/esm/index.js', 'utf8');
if (built.includes('@tapjs/typescript')) {
  execFileSync('npx', ['tap', 'build'], { stdio: ['ignore', 'ignore', 'inherit'] });
}
