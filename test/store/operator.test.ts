import t from 'tap';
import { NO_CREDENTIAL } from '../../src/auth-store/auth-document.ts';
import { Fleet } from './fleet.ts';
import { WITH_POSTGRES } from './postgres.ts';

t.setTimeout(300_000);

/** The refresh token in the row. */
async function stored(fleet: Fleet): Promise<string | undefined> {
  return (await fleet.store.load())?.tokens?.refreshToken?.reveal();
}

t.test(
  'T11: a sign-in while a refresh is under way is not written over',
  WITH_POSTGRES,
  async (t) => {
    const fleet = await Fleet.start(t);
    for (let i = 0; i < 3; i++) fleet.add();
    for (let round = 0; round < 3; round++) {
      const { refreshed } = fleet;
      await fleet.until(() => fleet.refreshed >= refreshed + 5);
      // Later than the emulator's own.
      fleet.emulator.addFault({ path: '/oauth/token', delayMs: 300, times: 3 });
      await fleet.nextHolder();
      const { authJson } = fleet.emulator.issueLogin({ accountId: 'account-1', userId: 'user-1' });
      await fleet.store.overwrite({ ...authJson });
      t.equal(await stored(fleet), authJson.tokens.refresh_token);
      const { refresh_token } = authJson.tokens;
      await fleet.emulator.waitFor(
        ({ body }) => (body as { refresh_token?: string } | null)?.refresh_token === refresh_token,
      );
      t.ok(fleet.sendersOf(refresh_token).length === 1, 'the new login is in use');
    }
    const { refreshed } = fleet;
    await fleet.until(() => fleet.refreshed >= refreshed + 10);
    await fleet.stop();
    t.strictSame(fleet.reused, []);
    for (const { counts } of fleet.replicas) t.equal(counts.over, 0);
  },
);

t.test(
  'T11: a sign-out while a refresh is under way stays a sign-out',
  WITH_POSTGRES,
  async (t) => {
    const fleet = await Fleet.start(t);
    for (let i = 0; i < 3; i++) fleet.add();
    await fleet.until(() => fleet.refreshed >= 5);
    fleet.emulator.addFault({ path: '/oauth/token', delayMs: 300 });
    await fleet.nextHolder();
    // One that has just refreshed finds no login when it begins anew, and has nothing to fail with.
    const noticed = () => fleet.replicas.map(({ counts }) => counts.failed + counts.signedOut);
    const before = noticed();
    await fleet.store.overwrite(NO_CREDENTIAL);
    await fleet.until(() => noticed().every((count, i) => count > (before[i] ?? 0)));
    await fleet.stop();
    t.equal(await stored(fleet), undefined);
    t.strictSame(fleet.reused, []);
  },
);
