import t, { type Test } from 'tap';
import { identityToken, loginWithIdentity } from '../helpers/credentials.ts';
import { type Answer, localError, send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

const ways: [string, (url: string) => Promise<Answer>][] = [
  ['POST', (url) => send(url + RESPONSES, { method: 'POST' })],
  ['an upgrade', (url) => tryUpgrade(url + RESPONSES)],
];
const causes = [
  ['the agent cannot be registered', '/api/accounts/v1/agent/register', loginWithIdentity],
  ['the run task cannot be registered', '/api/accounts/v1/agent/*', identityToken],
  ['the JWKS cannot be had', '/backend-api/wham/agent-identities/jwks', identityToken],
] as const;

for (const [cause, path, credential] of causes) {
  for (const [name, ask] of ways) {
    t.test(`${name} sends nothing when ${cause}`, async (t) => {
      const { url, emulator } = await startSidecarWithEmulator(t, {
        credential: (backend) => {
          backend.addFault({ path, status: 403, body: {}, times: 0 });
          return credential(backend);
        },
      });
      checkUnavailable(t, await ask(url));
      checkUnavailable(t, await ask(url));
      t.strictSame(
        emulator.records.filter((record) => record.path === RESPONSES),
        [],
        'no silent bearer, no empty header',
      );
    });
  }
}

function checkUnavailable(t: Test, answer: Answer): void {
  localError(t, answer, 503, 'AUTH_IDENTITY_UNAVAILABLE');
  const seconds = Number(answer.headers['retry-after']);
  t.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= 60, 'retry-after');
}
