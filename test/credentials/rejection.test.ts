import t from 'tap';
import {
  classifyRejection,
  mayBeRejection,
  type UpstreamResponse,
} from '../../src/credentials/rejection.ts';

function answer(
  status: number,
  body: unknown = '',
  headers: Record<string, string> = {},
): UpstreamResponse {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { status, body: text, header: (name) => headers[name] ?? null };
}

const DELETED = {
  error: {
    message: 'Agent runtime has been deleted.',
    code: 'biscuit_baker_service_agent_error_status',
  },
};
const encoded = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');

t.test('only 401 and 403 can be a rejection', async (t) => {
  const statuses = [200, 400, 401, 402, 403, 404, 429, 500, 503];
  const json = { 'content-type': 'application/json; charset=utf-8' };
  const held = (used: 'assertion' | 'bearer', headers: Record<string, string>) =>
    statuses.filter((status) => mayBeRejection(used, answer(status, '', headers)));
  t.strictSame(held('assertion', json), [401, 403]);
  t.strictSame(held('assertion', { 'content-type': 'text/html' }), [401], 'a challenge page');
  t.strictSame(held('bearer', json), [401], 'a deleted agent concerns assertions alone');
  for (const status of [400, 404, 429, 500, 503]) {
    t.equal(classifyRejection('assertion', answer(status, DELETED)), null);
  }
});

t.test('a 401 means the run task under an assertion, the token under a bearer', async (t) => {
  const refused = answer(401, { detail: 'Unauthorized' });
  t.strictSame(classifyRejection('assertion', refused), { kind: 'task', code: 'unauthorized' });
  t.strictSame(classifyRejection('bearer', refused), { kind: 'bearer', code: 'unauthorized' });
});

t.test('finds the code in the body, in x-error-json, or in the plain header', async (t) => {
  const codeOf = (body: unknown, headers: Record<string, string> = {}) =>
    classifyRejection('assertion', answer(401, body, headers))?.code;
  const json = { 'x-error-json': encoded({ error: { code: 'task_expired' } }) };
  const plain = { 'x-openai-authorization-error': 'task_not_found' };
  t.equal(codeOf({ error: { code: 'invalid_task_id' } }, { ...json, ...plain }), 'invalid_task_id');
  t.equal(codeOf('', { ...json, ...plain }), 'task_expired');
  t.equal(codeOf('<html>', plain), 'task_not_found');
});

t.test('what does not look like a code is none', async (t) => {
  for (const code of ['<script>', 'a b', '', 'x'.repeat(81), 7, null, { a: 1 }]) {
    const refused = answer(401, { error: { code } });
    t.equal(classifyRejection('assertion', refused)?.code, 'unauthorized');
  }
  const broken = answer(401, 'null', { 'x-error-json': '%%%' });
  t.equal(classifyRejection('bearer', broken)?.code, 'unauthorized');
});

t.test('a deleted agent is told by code and message together', async (t) => {
  const { code } = DELETED.error;
  t.strictSame(classifyRejection('assertion', answer(403, DELETED)), { kind: 'revoked', code });
  const inHeader = answer(403, '', { 'x-error-json': encoded(DELETED) });
  t.equal(classifyRejection('assertion', inHeader)?.kind, 'revoked');
  t.equal(classifyRejection('bearer', answer(403, DELETED)), null);
  const others = [
    { ...DELETED.error, message: 'me_circuit_open' },
    { ...DELETED.error, code: 'x' },
  ];
  for (const error of others) t.equal(classifyRejection('assertion', answer(403, { error })), null);
});

t.test('a challenge of the network in front is no rejection', async (t) => {
  const challenge = { 'cf-mitigated': 'challenge' };
  for (const status of [401, 403]) {
    t.equal(classifyRejection('assertion', answer(status, DELETED, challenge)), null);
  }
});
