import t from 'tap';
import { certificateText, storeText } from '../../../src/admin/page/status-text.ts';

const NOW = Date.UTC(2026, 10, 28);

t.test('a certificate', async (t) => {
  const certificate = { names: [], issuer: '', fingerprint: '', problem: null };
  const ending = (seconds: number, problem: string | null = null) => {
    const expiresAt = new Date(NOW + seconds * 1_000).toISOString();
    return certificateText({ ...certificate, expiresAt, problem }, NOW);
  };
  t.equal(ending(12 * 86_400 + 3_600), 'ends in 12 d 1 h');
  t.equal(ending(0), 'has expired');
  t.equal(ending(60, 'a wrong key'), 'ends in 1 min 0 s; a newer one was refused');
});

t.test('a file is spoken of when it is behind', async (t) => {
  const store = { kind: 'file', location: '/home/auth.json', lastError: null } as const;
  t.equal(storeText({ ...store, unwritten: false }), null);
  t.equal(storeText({ ...store, unwritten: true }), '/home/auth.json, not up to date');
});

t.test('a database, and what is the matter with it', async (t) => {
  const idle = { state: 'idle', by: null, since: null, code: null, ageSeconds: 0 } as const;
  const store = {
    kind: 'postgres',
    location: 'db:5432/auth#default',
    reachable: true,
    lastContactAt: null,
    lastError: null,
    version: 1,
    login: 1,
    rotation: 0,
    keyId: null,
    synchronous: true,
    refresh: idle,
    writtenBack: 0,
    unwritten: false,
  } as const;
  t.equal(storeText(store), store.location);
  const refresh = { ...idle, state: 'uncertain', by: 'sidecar-b' } as const;
  t.equal(
    storeText({ ...store, reachable: false, unwritten: true, refresh }),
    'db:5432/auth#default · unreachable · new tokens unwritten · refresh uncertain (sidecar-b)',
  );
});
