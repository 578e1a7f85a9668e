import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Argument, Command } from 'commander';
import t, { type Test } from 'tap';
import { completionScript, SHELLS } from '../../src/commands/completion/script.ts';
import { run } from '../helpers/program.ts';

/** A tree with everything that a description could break a script with. */
function tree(): Command {
  const program = new Command('a-program')
    .helpOption('--help', 'print this help')
    .helpCommand(false);
  program.command('plain').description('it\'s [a] "plain": $one `x`').option('--yes', "it's $x");
  const token = program.command('token').description('tokens').helpCommand(false);
  token.command('add').option('--file <file>', 'where').option('--name <name>', 'who');
  token.command('list').option('--watch [seconds]', 'again');
  program.command('shell').addArgument(new Argument('<shell>').choices(['one', 'two']));
  return program;
}

/** What bash offers behind these words. */
function complete(t: Test, ...words: string[]): string[] {
  const path = join(t.testdir({ 'some-file': '' }), 'script');
  writeFileSync(path, completionScript(tree(), 'bash'));
  const command = `source ${path}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _a_program; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const args = ['-c', command, 'bash', 'a-program', ...words];
  const output = execFileSync('bash', args, { encoding: 'utf8', cwd: join(path, '..') });
  return output.trim().split('\n').sort();
}

const OFFERS: [words: string[], offer: string[]][] = [
  [[''], ['--help', 'plain', 'shell', 'token']],
  [['p'], ['plain']],
  [
    ['plain', ''],
    ['--help', '--yes'],
  ],
  [
    ['token', ''],
    ['--help', 'add', 'list'],
  ],
  [
    ['token', 'add', '--'],
    ['--file', '--help', '--name'],
  ],
  [['token', 'add', '--file', 'some'], ['some-file']],
  [['token', 'add', '--name', ''], ['']],
  [
    ['token', 'list', '--watch', ''],
    ['--help', '--watch'],
  ],
  [['shell', 't'], ['two']],
  [['plain', '--', 'some-f'], ['some-file']],
];

for (const [words, offer] of OFFERS) {
  t.test(`bash completes: ${words.join(' ')}`, async (t) => {
    t.strictSame(complete(t, ...words), offer);
  });
}

for (const shell of SHELLS) {
  t.test(`the script for ${shell} names every command and option`, async (t) => {
    const script = completionScript(tree(), shell);
    for (const word of ['plain', 'token', 'add', 'list', 'shell', 'one', 'two']) {
      t.match(script, new RegExp(`\\b${word}\\b`));
    }
    for (const option of ['yes', 'file', 'name', 'watch']) {
      t.match(script, shell === 'fish' ? ` -l ${option} ` : `--${option}`);
    }
  });
}

/** Those of them that this machine has; bash it has. */
const installed = SHELLS.filter((shell) => !spawnSync(shell, ['-c', 'true']).error);

t.test('shells read the script of the program', async (t) => {
  t.ok(installed.includes('bash'));
  for (const shell of installed) {
    const { code, stdout, stderr } = await run(t, ['completion', shell]);
    t.equal(code, 0, stderr);
    const path = join(t.testdir({}), shell);
    writeFileSync(path, stdout + completionScript(tree(), shell));
    t.equal(execFileSync(shell, ['-n', path], { encoding: 'utf8' }), '');
  }
});

t.test('an unknown shell', async (t) => {
  const { code, stderr } = await run(t, ['completion', 'tcsh']);
  t.equal(code, 2);
  t.match(stderr, /Allowed choices are bash, zsh, fish\./);
});
