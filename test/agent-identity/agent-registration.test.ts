import { inspect } from 'node:util';
import t, { type Test } from 'tap';
import { parseAgentKey } from '../../src/agent-identity/keys.ts';
import { type AuthApi, registerAgent } from '../../src/agent-identity/registration.ts';
import { RegistrationError } from '../../src/agent-identity/registration-call.ts';
import { Secret } from '../../src/base/secret.ts';
import { startAuthApi } from '../helpers/auth-api.ts';
import { fixture } from '../helpers/fixture.ts';
import type { Reaction } from '../helpers/recording-server.ts';

const vector = fixture.derived[0];
const agent = {
  key: parseAgentKey(vector.private_key_pkcs8_v2, 'key'),
  accessToken: new Secret('access-token-1'),
  fedramp: false,
  version: '1.2.3',
  platform: 'linux',
};

const start = (t: Test, ...reactions: [Reaction, ...Reaction[]]) =>
  startAuthApi(t, vector.timestamp, ...reactions);
const register = (api: AuthApi) => registerAgent(api, agent);
const registered = { body: '{"agent_runtime_id":"agent-123"}' };

t.test('the answer gives the runtime id after one request', async (t) => {
  const { api, server, delays } = await start(t, registered);
  t.equal(await register(api), 'agent-123');
  t.equal(server.requests.length, 1);
  t.strictSame(delays, []);
});

t.test('the body is byte-exact', async (t) => {
  const { api, server } = await start(t, registered);
  await register(api);
  t.equal(
    server.requests[0]?.body,
    '{"abom":{"agent_version":"1.2.3","agent_harness_id":"codex-cli",' +
      '"running_location":"sidecar-linux"},' +
      `"agent_public_key":"${vector.public_key_ssh}",` +
      '"capabilities":["responsesapi"],"ttl":null}',
  );
});

t.test('the request goes to the register path with these headers and no others', async (t) => {
  const { api, server } = await start(t, registered);
  await register(api);
  const [request] = server.requests;
  t.equal(request?.method, 'POST');
  t.equal(request?.path, '/api/accounts/v1/agent/register');
  t.strictSame(request?.headers, {
    host: new URL(server.url).host,
    connection: 'keep-alive',
    accept: 'application/json',
    'accept-encoding': 'identity',
    'user-agent': 'codex-auth-sidecar/test',
    'content-type': 'application/json',
    authorization: 'Bearer access-token-1',
    'content-length': String(request?.body.length),
  });
});

t.test('the FedRAMP header is sent for a FedRAMP account', async (t) => {
  const { api, server } = await start(t, registered);
  await registerAgent(api, { ...agent, fedramp: true });
  t.equal(server.requests[0]?.headers['x-openai-fedramp'], 'true');
});

t.test('a retry sends the same request again', async (t) => {
  const { api, server } = await start(t, { status: 503 }, registered);
  t.equal(await register(api), 'agent-123');
  t.strictSame(server.requests[1], server.requests[0]);
});

t.test('a server that never answers is given up after the agent timeout', async (t) => {
  const { api, delays } = await start(t, 'silence');
  await t.rejects(register({ ...api, agentTimeoutMs: 20, taskTimeoutMs: 3_600_000 }), {
    name: 'RegistrationError',
    status: null,
    message: /^agent registration: no response from AuthAPI: no complete response in time$/,
  });
  t.strictSame(delays, [250, 500]);
});

t.test('a refused registration gives status and reason', async (t) => {
  const { api } = await start(t, { status: 403, body: 'Too many agents' });
  await t.rejects(register(api), {
    name: 'RegistrationError',
    status: 403,
    message: 'agent registration: AuthAPI answered 403: Too many agents',
  });
});

for (const reaction of ['close', { status: 403 }, { body: '{}' }] as const) {
  t.test(
    `the error after ${JSON.stringify(reaction)} does not hold the access token`,
    async (t) => {
      const { api } = await start(t, reaction);
      const error: unknown = await register(api).catch((error: unknown) => error);
      t.type(error, RegistrationError);
      t.notMatch(inspect(error, { depth: null, showHidden: true }), agent.accessToken.reveal());
    },
  );
}

for (const body of ['{}', '{"agent_runtime_id":""}', '{"agent_runtime_id":7}']) {
  t.test(`the answer ${body} lacks the runtime id`, async (t) => {
    const { api, server } = await start(t, { status: 201, body });
    await t.rejects(register(api), {
      name: 'RegistrationError',
      status: 201,
      message: 'agent registration: the response of AuthAPI lacks agent_runtime_id',
    });
    t.equal(server.requests.length, 1);
  });
}

t.test('the default timeout is 15 seconds', async (t) => {
  const timeouts: number[] = [];
  const { api } = await start(t, registered);
  await register({
    ...api,
    http: (request) => {
      timeouts.push(request.timeoutMs);
      return api.http(request);
    },
  });
  t.strictSame(timeouts, [15_000]);
});

t.test(
  'an answer that quotes a part of the token, in whatever form, does not carry it on',
  async (t) => {
    const token = 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIHVzZXIgPz4+In0.c2lnbmF0dXJl';
    const forms = [
      token.slice(0, 40),
      token.slice(12),
      Buffer.from(token).toString('base64'),
      Buffer.from(token).toString('base64url'),
      encodeURIComponent(`${token}+/=`),
      `"signature":"${'RxVUab+/'.repeat(10)}=="`,
    ];
    for (const form of forms) {
      const { api } = await start(t, {
        status: 422,
        body: `no such field: ${form} (see the manual)`,
      });
      const error = await register(api).catch((cause: unknown) => cause);
      t.match(inspect(error), /AuthAPI answered 422: no such field: .*\[…\].* \(see the manual\)/);
      t.notMatch(inspect(error), form.slice(-20));
      t.notMatch(inspect(error), form.slice(0, 24));
    }
  },
);

t.test('an answer that quotes the request does not carry its token on', async (t) => {
  const echo = 'blocked: authorization: Bearer access-token-1, and Bearer eyJhbGciOiJub25lIn0.e30.';
  const { api } = await start(t, { status: 403, body: echo });
  const error = await register(api).catch((cause: unknown) => cause);
  t.ok(error instanceof RegistrationError);
  t.match(inspect(error), /authorization: Bearer \[redacted\], and Bearer \[redacted\]/);
  t.notMatch(inspect(error), /access-token-1|eyJhbGciOiJub25lIn0/);
});

for (const id of ['.', '..', 'x'.repeat(5000), '\ud800']) {
  t.test(
    `a foreign id is checked where it enters: ${JSON.stringify(id).slice(0, 20)}`,
    async (t) => {
      const { api, server } = await start(t, { body: JSON.stringify({ agent_runtime_id: id }) });
      await t.rejects(register(api), { message: /agent_runtime_id that is not an id/ });
      t.equal(server.requests.length, 1);
    },
  );
}
