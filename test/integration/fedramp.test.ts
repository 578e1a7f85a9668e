import t from 'tap';
import type { Emulator } from '../../src/emulator/index.ts';
import {
  type GivenCredential,
  identityToken,
  login,
  loginWithIdentity,
} from '../helpers/credentials.ts';
import { send } from '../helpers/exchange.ts';
import { RESPONSES, startSidecarWithEmulator } from '../helpers/sidecar.ts';
import { tryUpgrade } from '../helpers/websocket.ts';

const CREDENTIALS: [string, (emulator: Emulator, fedramp: boolean) => GivenCredential][] = [
  ['a ChatGPT login, jwtOnly', login],
  ['a ChatGPT login, chatgptAuth', loginWithIdentity],
  ['an Agent Identity JWT', identityToken],
];

for (const [name, give] of CREDENTIALS) {
  t.test(`the FedRAMP header goes with ${name}`, async (t) => {
    const credential = (emulator: Emulator) => give(emulator, true);
    const { url, emulator } = await startSidecarWithEmulator(t, { credential });
    t.equal((await send(url + RESPONSES, { method: 'POST' })).status, 200);
    t.equal((await tryUpgrade(url + RESPONSES)).status, 101);
    const turns = emulator.records.filter(({ path }) => path === RESPONSES);
    t.equal(turns.length, 2);
    for (const { headers } of turns) t.equal(headers['x-openai-fedramp'], 'true');
  });
}
