import { execFile } from 'node:child_process';
import { cpSync, symlinkSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

/** What a package is made from, as it lies in the repository. */
const SOURCES = [
  ...['package.json', 'tsconfig.json', 'tsconfig.build.json', 'src', 'scripts', 'docs', 'deploy'],
  ...['bench/README.md', 'bench/results.svg'],
  ...['README.md', 'CHANGELOG.md', 'LICENSE', 'config.example.json'],
  ...['CONTRIBUTING.md', 'SECURITY.md'],
];

export interface Output {
  stdout: string;
  stderr: string;
}

/** Runs a program to its end; rejects when it fails. */
export function execute(program: string, args: string[], cwd: string): Promise<Output> {
  const env = { ...process.env, npm_config_update_notifier: 'false' };
  // tap adds its hooks to NODE_OPTIONS of every child, whatever `env` says.
  return promisify(execFile)('env', ['-u', 'NODE_OPTIONS', program, ...args], { cwd, env });
}

/** A copy of the project, because packing builds anew and others may be using `dist`. */
export function copyProject(folder: string): void {
  for (const name of SOURCES) cpSync(name, join(folder, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'));
}

/** @returns path of the tarball */
export async function pack(folder: string): Promise<string> {
  const { stdout } = await execute('npm', ['pack', '--silent'], folder);
  return join(folder, stdout.trim().split('\n').at(-1) ?? '');
}
