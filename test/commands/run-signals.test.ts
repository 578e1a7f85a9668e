import t, { type Test } from 'tap';
import { makeFolder, start } from '../helpers/program.ts';

t.jobs = 2;

/** Counts SIGINT, and ends with what it counted at any other signal. */
const CHILD = `
  let interrupts = 0;
  process.on('SIGINT', () => console.log('interrupt', ++interrupts));
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2']) {
    process.on(signal, () => { console.log(signal); process.exit(40 + interrupts); });
  }
  setInterval(() => undefined, 1e6);
  console.log('wrapper ' + process.ppid);
`;

async function startRun(t: Test, { terminal = false, launcher = [] as string[] } = {}) {
  const HOME = await makeFolder(t);
  const env = { CODEX_API_KEY: 'sk-test', HOME, XDG_STATE_HOME: HOME };
  const command = [...launcher, process.execPath, '-e', CHILD];
  const program = start(t, ['run', '--', ...command], env, { terminal });
  const line = await program.line((text) => text.startsWith('wrapper '));
  return { program, wrapper: Number(line.split(' ')[1]) };
}

for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
  t.test(`${signal} is handed on, and the exit code is the child's`, async (t) => {
    const { program } = await startRun(t);
    program.kill(signal);
    t.match(await program.ended, {
      code: 40,
      signal: null,
      stdout: new RegExp(signal),
      stderr: '',
    });
  });
}

t.test('SIGINT is handed on where no terminal sends it', async (t) => {
  const { program } = await startRun(t);
  program.kill('SIGINT');
  await program.line((text) => text === 'interrupt 1');
  program.kill('SIGTERM');
  t.match(await program.ended, { code: 41 });
});

t.test('the interrupt of a terminal reaches the child', async (t) => {
  const { program, wrapper } = await startRun(t, { terminal: true });
  program.type('\u0003');
  await program.line((text) => text.includes('interrupt 1'));
  process.kill(wrapper, 'SIGTERM');
  t.match(await program.ended, { code: 41 });
});

t.test('and is not handed on once more', async (t) => {
  // In a session of its own the child gets nothing from the terminal, only what is handed on.
  const { program, wrapper } = await startRun(t, { terminal: true, launcher: ['setsid'] });
  program.type('\u0003');
  await program.shows('^C');
  // Behind the interrupt, in the wrapper and in the child.
  process.kill(wrapper, 'SIGTERM');
  t.match(await program.ended, { code: 40 });
});
