// What the scripts that run released Codex CLIs have in common.
import { spawnSync } from 'node:child_process';

export function fail(text) {
  process.stderr.write(`${text}\n`);
  process.exit(1);
}

export function run(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, { stdio: 'inherit', ...options });
  if (error) throw error;
  return status;
}

/** Compiles the tests, and gives the function that installs a Codex. */
export async function prepare() {
  if (run(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.json']) !== 0) {
    process.exit(1);
  }
  const { installCodex } = await import('../.build/test/e2e/codex.js');
  return installCodex;
}

/** A version as it is given, or for `latest` the one that the registry has today. */
export function versionOf(name) {
  if (name !== 'latest') return name;
  const { status, stdout } = spawnSync('npm', ['view', '@openai/codex', 'version'], {
    encoding: 'utf8',
  });
  if (status !== 0) fail('the registry does not say which Codex is the latest; name versions');
  return stdout.trim();
}

/**
 * The arguments in front of a program that reaches loopback only; null where that cannot be done.
 * Codex asks real hosts by itself.
 */
export function emptyNetwork() {
  const up = 'ip link set lo up && exec "$@"';
  for (const flags of ['-n', '-rn']) {
    const prefix = ['unshare', flags, 'sh', '-c', up, 'sh'];
    const [program, ...args] = [...prefix, 'true'];
    if (spawnSync(program, args, { stdio: 'ignore' }).status === 0) return prefix;
  }
  return null;
}
