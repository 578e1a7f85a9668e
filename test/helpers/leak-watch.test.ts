import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { send } from './exchange.ts';
import { assertNoLeaks, noteSecret, noteSecretsIn, watchAnswers } from './leak-watch.ts';
import { MODELS, type SidecarOptions, startSidecarInFrontOf } from './sidecar.ts';
import { startUpstream } from './upstream.ts';
import { tryUpgrade } from './websocket.ts';

// The check of everything that the other tests make the sidecar say has to find what is there.

t.test('a secret is found in every form, and named without its value', async (t) => {
  const secret = 'a secret/with+signs=';
  noteSecret('the secret', secret);
  const forms = [
    secret,
    encodeURIComponent(secret),
    Buffer.from(`before ${secret} behind`).toString('base64'),
    Buffer.from(`{"x":"${secret}"}`).toString('base64url'),
  ];
  for (const form of forms) {
    t.throws(
      () => assertNoLeaks({ log: `text ${form} text` }),
      { message: /^a secret leaked into log: .*\[the secret\]"$/ },
      form,
    );
  }
  t.doesNotThrow(() => assertNoLeaks({ log: 'a secret with other signs' }));
});

t.test('what stands in documents, tokens and assertions counts', async (t) => {
  const json = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const token = ['head', json({ agent_private_key: 'key-in-a-jwt-012345' }), 'signature-01'].join(
    '.',
  );
  noteSecretsIn({ auth_mode: 'chatgpt', tokens: { refresh_token: 'refresh-012345' } });
  noteSecret('a token', token);
  noteSecret('an assertion', json({ task_id: 'task-in-an-assertion', signature: 'signed-01234' }));
  for (const text of ['key-in-a-jwt-012345', 'signature-01', 'refresh-012345', 'signed-01234']) {
    t.throws(() => assertNoLeaks({ answers: text }), /leaked into answers/, text);
  }
  t.throws(() => assertNoLeaks({ answers: 'task-in-an-assertion' }), /task_id/);
});

t.test('whatever a server sends is kept, on an upgrade too', async (t) => {
  const server = createServer((_request, response) => response.end('plain answer'));
  server.on('upgrade', (_request, socket) => socket.end('HTTP/1.1 400 upgrade refused\r\n\r\n'));
  const answers = watchAnswers(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  await send(url);
  await tryUpgrade(url).catch(() => undefined);
  t.match(answers(), /plain answer.*upgrade refused/s);
});

/** Runs a test inside of this one. @returns what its end brings */
async function runInside(act: (inner: Test) => Promise<void>): Promise<void> {
  const cleanUps: (() => unknown)[] = [];
  const inner = { teardown: (cleanUp: () => unknown) => cleanUps.unshift(cleanUp) };
  let failure: unknown = null;
  await act(inner as unknown as Test);
  for (const cleanUp of cleanUps) {
    try {
      await cleanUp();
    } catch (error) {
      failure ??= error;
    }
  }
  if (failure) throw failure;
}

const LEAKS: [string, (options: SidecarOptions) => SidecarOptions, string][] = [
  ['stored', (options) => options, 'refresh-token-of-the-sidecar'],
  ['sent by a client', (options) => options, 'token-of-some-client'],
  [
    'of the environment',
    (options) => ({ ...options, authJson: null, env: { CODEX_API_KEY: 'sk-of-the-environment' } }),
    'sk-of-the-environment',
  ],
];

for (const [what, change, secret] of LEAKS) {
  t.test(`a secret ${what} that is logged fails its test`, async (t) => {
    const upstream = await startUpstream(t, (_request, response) => response.end());
    const leaky = runInside(async (inner) => {
      const { url, log } = await startSidecarInFrontOf(inner, upstream.origin, change({}));
      await send(url + MODELS, { headers: { authorization: 'Bearer token-of-some-client' } });
      log.push(JSON.stringify({ msg: `the value is ${secret}` }));
    });
    await t.rejects(leaky, /a secret leaked into log/);
  });

  t.test(`a secret ${what} that is answered fails its test`, async (t) => {
    const upstream = await startUpstream(t, (_request, response) => response.end(secret));
    const leaky = runInside(async (inner) => {
      const { url } = await startSidecarInFrontOf(inner, upstream.origin, change({}));
      await send(`${url}/backend-api/codex/models`, {
        headers: { authorization: 'Bearer token-of-some-client' },
      });
    });
    await t.rejects(leaky, /a secret leaked into answers/);
  });
}

t.test('one that says nothing wrong does not fail', async (t) => {
  const upstream = await startUpstream(t, (_request, response) => response.end('fine'));
  await t.resolves(
    runInside(async (inner) => {
      const { url } = await startSidecarInFrontOf(inner, upstream.origin);
      await send(url + MODELS, { headers: { authorization: 'Bearer token-of-some-client' } });
    }),
  );
});
