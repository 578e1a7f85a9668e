// What a database carries when many sidecars look at one row: processor time and memory of the server.
//   npm run build:test && node bench/soak/polls.mjs [connections] [seconds] [pooled]
// "pooled" puts PgBouncer in transaction mode with two connections between. Linux only: it reads /proc.
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { PostgresRegister } from '../../.build/src/auth-store/postgres-register.js';
import { parseServers } from '../../.build/src/auth-store/postgres-url.js';
import { Postgres, startPooler } from '../../.build/test/store/postgres.js';

const [connections = 100, seconds = 20] = process.argv.slice(2, 4).map(Number);
const pooled = process.argv.includes('pooled');

/** Processor seconds and memory of the processes whose command line matches. */
function usageOf(matches) {
  let [cpu, kib, count] = [0, 0, 0];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!matches(readFileSync(`/proc/${pid}/cmdline`, 'utf8'))) continue;
      // In nanoseconds; a backend needs less than one tick of `stat`.
      cpu += Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]) / 1e9;
      const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      kib += Number(/^Pss: +(\d+)/m.exec(memory)?.[1] ?? 0);
      count++;
    } catch {
      // Ended meanwhile.
    }
  }
  return { cpu, kib, count };
}

const cleanUps = [];
const scope = { teardown: (cleanUp) => cleanUps.push(cleanUp) };
try {
  const postgres = await Postgres.start(scope);
  await postgres.configure(`max_connections = ${pooled ? 60 : connections + 20}\n`);
  await postgres.stop('fast');
  await postgres.launch();
  const port = pooled ? await startPooler(scope, postgres) : postgres.port;
  const servers = parseServers(postgres.url(port));
  const isBackend = (line) => line.includes(postgres.data) || /^postgres: .* auth 127/.test(line);
  const empty = usageOf(isBackend);
  const registers = Array.from(
    { length: connections },
    () =>
      new PostgresRegister({
        name: 'default',
        servers: async () => servers,
        first: servers[0],
        ca: null,
        monotonicNow: () => performance.now(),
      }),
  );
  for (const register of registers) await register.read(null);
  const before = usageOf(isBackend);
  const own = process.cpuUsage();
  let polls = 0;
  let slowest = 0;
  const end = performance.now() + seconds * 1000;
  const poll = async (register, index) => {
    await sleep((index / connections) * 1000);
    while (performance.now() < end) {
      const begun = performance.now();
      await register.read(null);
      const took = performance.now() - begun;
      polls++;
      slowest = Math.max(slowest, took);
      await sleep(Math.max(0, 1000 - took));
    }
  };
  await Promise.all(registers.map(poll));
  const after = usageOf(isBackend);
  const { user, system } = process.cpuUsage(own);
  const figures = {
    connections,
    pooled,
    pollsPerSecond: Math.round(polls / seconds),
    serverMsPerPoll: +(((after.cpu - before.cpu) * 1000) / polls).toFixed(3),
    serverPercentOfOneCore: +(((after.cpu - before.cpu) / seconds) * 100).toFixed(1),
    clientMsPerPoll: +((user + system) / 1000 / polls).toFixed(3),
    slowestMs: Math.round(slowest),
    serverProcesses: after.count,
    serverMiB: Math.round(after.kib / 1024),
    emptyMiB: Math.round(empty.kib / 1024),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  for (const register of registers) await register.close();
} finally {
  for (const cleanUp of cleanUps.reverse()) await cleanUp();
}
