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

async function startRun(t: Test, terminal: boolean) {
  const env = { CODEX_API_KEY: 'sk-test', XDG_STATE_HOME: await makeFolder(t) };
  const program = start(t, ['run', '--', process.execPath, '-e', CHILD], env, { terminal });
  const line = await program.line((text) => text.startsWith('wrapper '));
  return { program, wrapper: Number(line.split(' ')[1]) };
}

for (const signal of ['SIGTERM', 'SIGHUP', 'SIGQUIT', 'SIGUSR1', 'SIGUSR2'] as const) {
  t.test(`${signal} is handed on, and the exit code is the child's`, async (t) => {
    const { program } = await startRun(t, false);
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
  const { program } = await startRun(t, false);
  program.kill('SIGINT');
  await program.line((text) => text === 'interrupt 1');
  program.kill('SIGTERM');
  t.match(await program.ended, { code: 41 });
});

t.test('the interrupt of a terminal comes once', async (t) => {
  const { program, wrapper } = await startRun(t, true);
  program.type('\u0003');
  await program.line((text) => text.includes('interrupt 1'));
  // Behind an interrupt that the wrapper might have sent.
  process.kill(wrapper, 'SIGTERM');
  t.match(await program.ended, { code: 41 });
});
