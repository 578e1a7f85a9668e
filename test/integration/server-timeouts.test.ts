import t from 'tap';
import { startSidecarInFrontOf } from '../helpers/sidecar.ts';

t.test('no clock of the server cuts a client that is slow or waits', async (t) => {
  const { sidecar } = await startSidecarInFrontOf(t, 'http://127.0.0.1:1');
  const { timeout, requestTimeout } = sidecar.app.server;
  t.strictSame({ timeout, requestTimeout }, { timeout: 0, requestTimeout: 0 });
});
