// What the sidecar adds to the way of one server-sent event: a direct stream and one through the
// sidecar, open at the same time, of events that say when they were sent.
//   node bench/soak/delay.mjs [--events 2000] [--interval 5]
import { request } from 'node:http';
import { parseArgs } from 'node:util';
import { median, quantile } from './random.mjs';
import { start, startSidecar } from './stage.mjs';

const LIMIT_MS = 2;
const WARM_UP = 200;

const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '2000' },
    interval: { type: 'string', default: '5' },
  },
});
const upstream = start('upstream-delay.mjs', [values.events, values.interval]);
const port = await upstream.ask('port');
const sidecar = await startSidecar(port);

/** Milliseconds from the write of each event to its arrival. */
function delaysOf(url) {
  return new Promise((resolve, reject) => {
    const call = request(`${url}/backend-api/codex/responses`, { method: 'POST' }, (response) => {
      const delays = [];
      response.setEncoding('latin1').on('data', (text) => {
        const now = process.hrtime.bigint();
        for (const [, sent] of text.matchAll(/data: (\d+)\n\n/g)) {
          delays.push(Number(now - BigInt(sent)) / 1e6);
        }
      });
      response.on('end', () => resolve(delays.slice(WARM_UP)));
    });
    call.on('error', reject);
    call.end('{}');
  });
}

const [direct, through] = await Promise.all([
  delaysOf(`http://127.0.0.1:${port}`),
  delaysOf(sidecar.url),
]);
await sidecar.stop();
await upstream.stop();
const line = (name, delays) =>
  `${name} ${median(delays).toFixed(3)} ms median, ${quantile(delays, 0.99).toFixed(3)} ms p99\n`;
const added = median(through) - median(direct);
const passed = direct.length === through.length && added < LIMIT_MS;
process.stdout.write(
  `delay of one event, ${direct.length} each\n${line('direct ', direct)}${line('sidecar', through)}` +
    `added   ${added.toFixed(3)} ms at the median (limit ${LIMIT_MS} ms)\n${passed ? 'PASS' : 'FAIL'}\n`,
);
process.exitCode = passed ? 0 : 1;
