import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Emulator } from '../../src/emulator/index.ts';
import {
  apiKey,
  claimsOf,
  type GivenCredential,
  identityRecord,
  identityToken,
  login,
  loginWithIdentity,
} from '../helpers/credentials.ts';
import { send, sendRaw } from '../helpers/exchange.ts';
import { leaksIn } from '../helpers/leaks.ts';
import {
  MODELS,
  makeFolder,
  RESPONSES,
  type SidecarWithEmulator,
  startSidecarWithEmulator,
} from '../helpers/sidecar.ts';
import { untilStatus } from '../helpers/until-status.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

const CLIENT_TOKEN = 'client-token-0123456789';
const WRONG_TOKEN = 'wrong-token-0123456789';
const QUERY = 'query-secret-0123456789';
const HEADER = 'header-secret-0123456789';

/** Asks for everything that can be asked for, good and bad, and returns what was answered. */
async function exercise({ url, port, emulator }: SidecarWithEmulator, t: Test): Promise<string> {
  const headers = { authorization: `Bearer ${CLIENT_TOKEN}`, cookie: `session=${HEADER}` };
  const answers = [
    await send(`${url + RESPONSES}?token=${QUERY}`, { method: 'POST', headers }),
    await send(`${url + MODELS}?token=${QUERY}`, { headers }),
    await tryUpgrade(`${url + RESPONSES}?token=${QUERY}`, headers),
    await tryUpgrade(`${url}/backend-api/wham/remote/control/x?token=${QUERY}`, headers),
    await send(`${url}/unknown?token=${QUERY}`, { headers }),
    await send(`${url}/backend-api//x?token=${QUERY}`, { headers }),
    await send(url + MODELS, { headers: { authorization: `Bearer ${WRONG_TOKEN}` } }),
    await send(url + MODELS, { headers: { ...headers, origin: `https://${HEADER}.example` } }),
  ];
  for (const action of ['reset', 'garbage', 'empty', 'cut'] as const) {
    emulator.addFault({ path: '*', action });
    const answer = send(`${url + RESPONSES}?token=${QUERY}`, { method: 'POST', headers });
    answers.push(...(await answer.then(Array.of, () => [])));
  }
  for (const path of ['/auth/status', '/readyz', '/livez']) answers.push(await send(url + path));
  const broken = await sendRaw(t, port, `GET /${QUERY} HTTP/9.9\r\nx: ${CLIENT_TOKEN}\r\n\r\n`);
  // Headers that the emulated backend sends belong to it; those of local errors are checked too.
  const local = answers.filter(({ headers }) => headers['x-sidecar-error'] !== undefined);
  const own = answers.slice(-3);
  return (
    [...local, ...own].map(({ rawHeaders, text }) => `${rawHeaders}\n${text}`).join('\n') + broken
  );
}

async function secretsOf(
  { emulator, codexHome }: SidecarWithEmulator,
  given: GivenCredential,
): Promise<string[]> {
  const secrets = [CLIENT_TOKEN, WRONG_TOKEN, QUERY, HEADER];
  for (const value of Object.values(given.env ?? {})) if (value) secrets.push(value);
  const file = await readFile(join(codexHome, 'auth.json'), 'utf8').catch(() => '{}');
  const { tokens = {}, agent_identity: record } = JSON.parse(file);
  secrets.push(...[tokens.id_token, tokens.access_token, tokens.refresh_token].filter(Boolean));
  // Nothing of a JWT either: its payload may be private, and its signature makes it whole.
  for (const token of [...secrets].filter((secret) => /^eyJ.*\..*\./.test(secret))) {
    secrets.push(...token.split('.').slice(1));
    const { agent_private_key: key } = claimsOf(token);
    if (typeof key === 'string') secrets.push(key);
  }
  if (record) secrets.push(record.agent_private_key, record.task_id);
  for (const { headers, auth } of emulator.records) {
    const [, sent] = (headers.authorization ?? '').split(' ');
    if (sent) secrets.push(sent);
    if (auth.taskId) secrets.push(auth.taskId);
  }
  return [...new Set(secrets)];
}

const CREDENTIALS: [string, (emulator: Emulator) => GivenCredential][] = [
  ['an API key', apiKey],
  ['a ChatGPT login, jwtOnly', login],
  ['a ChatGPT login, chatgptAuth', loginWithIdentity],
  ['an Agent Identity JWT', identityToken],
  ['an identity record alone', identityRecord],
];

for (const [name, give] of CREDENTIALS) {
  t.test(`${name}: no secret in logs, status and errors`, async (t) => {
    const tokensFile = join(await makeFolder(t), 'tokens');
    const digest = createHash('sha256').update(CLIENT_TOKEN).digest('hex');
    await writeFile(tokensFile, `client:${digest}\n`);
    let given: GivenCredential = { bearer: null, accountId: null };
    const stack = await startSidecarWithEmulator(t, {
      config: { clients: { tokensFile } },
      credential: (emulator) => {
        given = give(emulator);
        return given;
      },
    });
    await untilStatus(stack.url, ({ status }) => status === 'ready');
    const answers = await exercise(stack, t);
    await stack.sidecar.stop();
    const everything = answers + stack.log.join('');
    const secrets = await secretsOf(stack, given);
    t.ok(secrets.length >= 5, `${secrets.length} secrets`);
    for (const secret of secrets) t.strictSame(leaksIn(everything, secret), []);
    t.match(everything, '"path":"/backend-api/codex/responses"', 'the log is not just empty');
  });
}

t.test('a credential that cannot be used is not shown either', async (t) => {
  const secret = 'secret-in-a-bad-file-0123456789';
  for (const authJson of [
    `{"tokens": {"access_token": "${secret}"`,
    { auth_mode: 'chatgpt', tokens: { access_token: secret, refresh_token: secret } },
    { auth_mode: 'agentIdentity', agent_identity: secret },
    { auth_mode: 'agentIdentity', agent_identity: `e30.${secret}.${secret}` },
    { auth_mode: secret },
  ]) {
    const stack = await startSidecarWithEmulator(t, { credential: () => ({ authJson }) });
    const answer = await send(stack.url + MODELS);
    t.equal(answer.status, 400);
    const status = await send(`${stack.url}/auth/status`);
    const everything = [answer.text, status.text, ...stack.log].join('\n');
    t.strictSame(leaksIn(everything, secret), []);
  }
});
