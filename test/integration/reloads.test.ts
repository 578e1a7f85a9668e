import t from 'tap';
import { readSettings } from '../../src/sidecar/settings.ts';
import { launchSidecar } from '../../src/sidecar/start.ts';
import { captureLog } from '../helpers/captured-log.ts';
import { makeFolder } from '../helpers/sidecar.ts';
import { readStatus } from '../helpers/until-status.ts';

t.test('of two reloads the one that came last stays', async (t) => {
  const env = { CODEX_API_KEY: 'sk-test-key-of-this-test' };
  const own = { codexHome: await makeFolder(t), listen: { port: 0 } };
  const settingsWith = (policy: string) =>
    readSettings(env, null, { ...own, agentIdentity: { policy } });
  let proceed = () => {};
  const held = new Promise<void>((resolve) => {
    proceed = resolve;
  });
  let reads = 0;
  const readAgain = async () => {
    reads++;
    if (reads > 1) return await settingsWith('jwtOnly');
    const older = await settingsWith('chatgptAuth');
    await held;
    return older;
  };
  const { log } = captureLog();
  const sidecar = await launchSidecar(await settingsWith('jwtOnly'), log, false, readAgain);
  t.teardown(() => sidecar.stop());
  const reloads = [sidecar.reload(), sidecar.reload()];
  const { url } = sidecar.address;
  await readStatus(url ?? '');
  t.equal(reads, 1, 'the second one waits');
  proceed();
  await Promise.all(reloads);
  t.equal((await readStatus(url ?? '')).agentIdentity.policy, 'jwtOnly');
});
