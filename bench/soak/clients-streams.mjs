// Clients of streams.mjs: reads event streams, checks every number, leaves some of them early.
import { Agent, request } from 'node:http';
import { randomOf } from './random.mjs';

const agent = new Agent({ keepAlive: false, maxSockets: Number.POSITIVE_INFINITY });

/** One stream. @param leaveAt number of the event after which the client leaves; null stays */
function read(url, name, events, leaveAt, result) {
  return new Promise((resolve) => {
    const headers = { 'x-stream': name, 'content-type': 'application/json' };
    const call = request(`${url}/backend-api/codex/responses`, { method: 'POST', headers, agent });
    let expected = 1;
    let left = false;
    let rest = '';
    const wrong = (what) => result.wrong.push(`stream ${name}: ${what}`);
    call.on('error', (error) => {
      if (!left) wrong(`broke with ${error.code} after ${expected - 1}`);
      resolve();
    });
    call.on('response', (response) => {
      if (response.statusCode !== 200) wrong(`status ${response.statusCode}`);
      response.setEncoding('utf8').on('data', (text) => {
        const parts = (rest + text).split('\n\n');
        rest = parts.pop();
        for (const part of parts) {
          if (left) return;
          const { stream, number } = JSON.parse(part.slice(part.indexOf('data: ') + 6));
          if (stream !== name || number !== expected) wrong(`${stream}/${number}, not ${expected}`);
          expected = number + 1;
          result.received++;
          if (number === leaveAt) {
            left = true;
            result.left[name] = clock();
            call.destroy();
          }
        }
      });
      response.on('error', () => undefined);
      response.on('close', () => {
        if (left) result.aborted++;
        else if (response.complete && expected === events + 1 && rest === '') result.complete++;
        else wrong(`ended after ${expected - 1}`);
        resolve();
      });
    });
    call.end('{}');
  });
}

function clock() {
  return Number(process.hrtime.bigint() / 1000n) / 1000;
}

process.on('message', async ({ url, streams, events, aborts, seed }) => {
  const random = randomOf(seed);
  const result = { complete: 0, aborted: 0, received: 0, wrong: [], left: {} };
  const all = Array.from({ length: streams }, (_, i) => {
    const leaveAt = random() < aborts ? 1 + Math.floor(random() * (events / 2)) : null;
    return read(url, String(i), events, leaveAt, result);
  });
  await Promise.all(all);
  process.send(result);
});
