import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { dialTcp, localError, parseResponse, readAll } from '../helpers/exchange.ts';
import { makeFolder, RESPONSES, startSidecarInFrontOf } from '../helpers/sidecar.ts';
import { startUpstream } from '../helpers/upstream.ts';
import { tryUpgrade, upgradeText } from '../helpers/websocket.ts';

const ERRORS: [string, string, Record<string, string>, number, string][] = [
  ['a denied route', '/backend-api/wham/remote/control/x', {}, 403, 'AUTH_ROUTE_DENIED'],
  ['an unknown path', '/elsewhere', {}, 403, 'AUTH_ROUTE_DENIED'],
  ['an invalid path', '/backend-api//x', {}, 400, 'AUTH_PATH_INVALID'],
  ['a wrong host', RESPONSES, { host: 'evil.example' }, 403, 'AUTH_HOST_NOT_ALLOWED'],
  ['an origin', RESPONSES, { origin: 'https://evil.example' }, 403, 'AUTH_ORIGIN_NOT_ALLOWED'],
  ['no client token', RESPONSES, {}, 401, 'AUTH_CLIENT_TOKEN'],
  ['a wrong client token', RESPONSES, { authorization: 'Bearer wrong' }, 401, 'AUTH_CLIENT_TOKEN'],
];

for (const [name, path, headers, status, code] of ERRORS) {
  t.test(`${name} is answered on the upgrade, and nothing is dialled`, async (t) => {
    const upstream = await startUpstream(t);
    const tokensFile = join(await makeFolder(t), 'tokens');
    const digest = createHash('sha256').update('right').digest('hex');
    await writeFile(tokensFile, `client:${digest}\n`);
    const config = code === 'AUTH_CLIENT_TOKEN' ? { clients: { tokensFile } } : {};
    const { url } = await startSidecarInFrontOf(t, upstream.origin, { config });
    const answer = await tryUpgrade(url + path, headers);
    localError(t, answer, status, code);
    t.equal(answer.headers.connection, 'close');
    t.equal(upstream.connections, 0);
  });
}

t.test('a client that sends on gets the answer, and a connection that ends in order', async (t) => {
  const upstream = await startUpstream(t);
  const { port } = await startSidecarInFrontOf(t, upstream.origin);
  const client = await dialTcp(t, port);
  const sent = once(client, 'finish');
  client.write(upgradeText('/unknown'));
  client.end(Buffer.alloc(4 * 1024 * 1024));
  localError(t, parseResponse(String(await readAll(client))), 403, 'AUTH_ROUTE_DENIED');
  await sent;
});
