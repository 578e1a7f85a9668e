import { createHash } from 'node:crypto';
import t from 'tap';
import { type Caller, checkAccess } from '../../src/access/caller.ts';
import { SidecarError } from '../../src/base/errors.ts';
import { type ClientTokens, parseClientTokens } from '../../src/clients/client-tokens.ts';
import type { AccessLevel } from '../../src/inbound/request-context.ts';

const digest = createHash('sha256').update('right').digest('hex');
const TOKENS = parseClientTokens(`ci:${digest}`);

function allows(
  level: AccessLevel,
  caller: Partial<Caller>,
  tokens: ClientTokens | null = TOKENS,
): boolean {
  const nobody: Caller = {
    local: true,
    host: 'localhost',
    origin: undefined,
    encrypted: false,
    localAddress: undefined,
    secFetchSite: undefined,
    authorization: undefined,
    sidecarToken: undefined,
    certificate: null,
  };
  const rules = {
    viaSocket: false,
    listenHost: '::1',
    allowedHosts: [],
    allowedOrigins: [],
    tokens,
    certificates: null,
  };
  try {
    checkAccess({ ...nobody, ...caller }, { level, fromOwnPage: false }, rules);
    return true;
  } catch (error) {
    if (error instanceof SidecarError && error.code === 'AUTH_CLIENT_TOKEN') return false;
    throw error;
  }
}

t.test('the token comes in either header', async (t) => {
  t.ok(allows('client', { authorization: 'Bearer right' }));
  t.ok(allows('client', { authorization: 'bEaReR  right' }));
  t.ok(allows('client', { sidecarToken: 'right' }));
  t.ok(allows('client', { sidecarToken: 'right', authorization: 'Bearer of-another-service' }));
});

t.test('everything else is refused', async (t) => {
  const values = ['Bearer wrong', 'Bearer', 'Bearer ', 'right', 'Basic right', 'Bearer right x'];
  for (const authorization of [...values, 'Bearer right,', 'xBearer right', '']) {
    t.notOk(allows('client', { authorization }), authorization);
  }
  t.notOk(allows('client', {}));
  for (const sidecarToken of ['wrong', '', ' right', 'right, right', 'ci', digest]) {
    t.notOk(allows('client', { sidecarToken }), sidecarToken);
  }
  t.notOk(
    allows('client', { sidecarToken: 'wrong', authorization: 'Bearer right' }),
    'the own header is the one that counts',
  );
});

t.test('client asks everybody, local only callers from elsewhere, open nobody', async (t) => {
  const asked = (level: AccessLevel, local: boolean) => !allows(level, { local });
  t.ok(asked('client', true));
  t.ok(asked('client', false));
  t.notOk(asked('local', true));
  t.ok(asked('local', false));
  t.notOk(asked('open', true));
  t.notOk(asked('open', false));
  t.ok(allows('local', { local: false, sidecarToken: 'right' }));
});

t.test('without a tokens file nobody is asked', async (t) => {
  t.ok(allows('client', { local: false }, null));
});

t.test('host and origin are checked at every level, before the token', async (t) => {
  for (const level of ['client', 'local', 'open'] as const) {
    const right = { sidecarToken: 'right' };
    t.throws(() => allows(level, { ...right, host: 'evil.example' }), {
      code: 'AUTH_HOST_NOT_ALLOWED',
    });
    t.throws(() => allows(level, { ...right, origin: 'https://evil.example' }), {
      code: 'AUTH_ORIGIN_NOT_ALLOWED',
    });
  }
});

t.test('a refusal does not repeat what was sent', async (t) => {
  const caller = { local: true, host: 'localhost', sidecarToken: 'hush' } as Caller;
  const rules = {
    viaSocket: false,
    listenHost: '::1',
    allowedHosts: [],
    allowedOrigins: [],
    tokens: TOKENS,
    certificates: null,
  };
  t.throws(() => checkAccess(caller, { level: 'client', fromOwnPage: false }, rules), {
    message: /^((?!hush).)*$/s,
  });
});

t.test(
  'no empty credential: an empty header is none, and leaves the other one in force',
  async (t) => {
    for (const authorization of [undefined, '', 'Bearer', 'Bearer ', 'Bearer wrong']) {
      t.notOk(allows('client', { sidecarToken: '', authorization }), String(authorization));
    }
    t.ok(allows('client', { sidecarToken: '', authorization: 'Bearer right' }));
  },
);
