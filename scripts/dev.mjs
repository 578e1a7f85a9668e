// Recompiles on change and restarts `serve`, with the arguments given after `--`.
import { spawn } from 'node:child_process';

const options = { stdio: 'inherit' };
const compiler = spawn(
  'npx',
  ['tsc', '-p', 'tsconfig.build.json', '--watch', '--preserveWatchOutput'],
  options,
);
const server = spawn(
  process.execPath,
  ['--watch', '.build/program/cli.js', 'serve', ...process.argv.slice(2)],
  options,
);
for (const child of [compiler, server]) {
  child.once('exit', (code) => {
    compiler.kill();
    server.kill();
    process.exitCode ||= code ?? 0;
  });
}
