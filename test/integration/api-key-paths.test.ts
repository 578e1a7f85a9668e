import t from 'tap';
import { apiKey } from '../helpers/credentials.ts';
import { localError, send } from '../helpers/exchange.ts';
import { startSidecarWithEmulator } from '../helpers/sidecar.ts';

t.test('model paths are rewritten to the API base, query and all', async (t) => {
  const { url, emulator } = await startSidecarWithEmulator(t, { credential: apiKey });
  await send(`${url}/backend-api/codex/responses?a=%20b&a`, { method: 'POST' });
  await send(`${url}/backend-api/codex/models/some%20model?x=1`);
  t.strictSame(
    emulator.records.map(({ method, path }) => `${method} ${path}`),
    ['POST /v1/responses?a=%20b&a', 'GET /v1/models/some%20model?x=1'],
  );
});

for (const path of ['/backend-api/codex', '/backend-api/codexx/models', '/backend-api/me']) {
  t.test(`${path} is no model path and is refused`, async (t) => {
    const { url, emulator } = await startSidecarWithEmulator(t, { credential: apiKey });
    localError(t, await send(url + path), 403, 'AUTH_ROUTE_DENIED');
    t.strictSame(emulator.records, []);
  });
}
