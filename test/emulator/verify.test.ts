import t from 'tap';
import { buildAssertion } from '../../src/agent-identity/assertion.ts';
import { generateAgentKey, signMessage } from '../../src/agent-identity/keys.ts';
import { wholeSeconds } from '../../src/base/clock.ts';
import { joinHeaders } from '../../src/emulator/records.ts';
import type { RequiredAuth } from '../../src/emulator/verify.ts';
import { assertion, bearer, claimsOf, encode, judge, key, NOW } from './verify-fixture.ts';

t.test('what is accepted', async (t) => {
  t.match(judge(assertion()), {
    refusal: null,
    account: { accountId: 'acc' },
    auth: {
      kind: 'assertion',
      verified: true,
      problem: null,
      agentRuntimeId: 'agent-1',
      taskId: 'live/task',
    },
  });
  t.equal(judge(assertion({ at: NOW - 300_000 })).refusal, null, 'five minutes old');
  t.equal(judge(assertion({ at: NOW + 300_000 })).refusal, null, 'five minutes ahead');
  t.equal(judge(bearer('access')).refusal, null, 'a bearer on an assertion route');
  t.equal(judge(bearer('personal'), 'bearer').refusal, null);
  t.equal(judge({ authorization: 'Bearer personal' }, 'whoami').refusal, null);
  t.equal(judge({ authorization: 'Bearer access' }, 'registration').refusal, null);
  t.equal(judge({ authorization: 'Bearer key' }, 'apiKey').refusal, null);
  t.equal(judge({}, 'none').refusal, null);
  const gov = { ...assertion({ id: 'agent-gov' }), 'chatgpt-account-id': 'gov' };
  t.equal(judge({ ...gov, 'x-openai-fedramp': 'true' }).refusal, null);
});

const refused: Record<string, [Record<string, string>, RequiredAuth, RegExp]> = {
  'no credential': [{}, 'assertion', /no Authorization/],
  'an unknown scheme': [{ authorization: 'Basic eDp5' }, 'assertion', /scheme/],
  'an assertion that is no JSON': [
    { ...assertion(), authorization: 'AgentAssertion !!!' },
    'assertion',
    /malformed/,
  ],
  'an assertion with keys in another order': [
    {
      ...assertion(),
      authorization: encode(
        Object.fromEntries(Object.entries(claimsOf(assertion().authorization)).reverse()),
      ),
    },
    'assertion',
    /malformed/,
  ],
  'an assertion with one field more': [
    {
      ...assertion(),
      authorization: encode({ ...claimsOf(assertion().authorization), target: 'x' }),
    },
    'assertion',
    /malformed/,
  ],
  'a padded assertion': [
    { ...assertion(), authorization: `${assertion().authorization}=` },
    'assertion',
    /malformed/,
  ],
  'an unregistered agent': [assertion({ id: 'agent-2' }), 'assertion', /not registered/],
  'a signature of another key': [
    {
      ...assertion(),
      authorization: buildAssertion('agent-1', generateAgentKey(), 'live/task', NOW),
    },
    'assertion',
    /signature/,
  ],
  'a signature for another task': [
    {
      ...assertion(),
      authorization: encode({
        ...claimsOf(assertion({ task: 'x' }).authorization),
        task_id: 'old',
      }),
    },
    'assertion',
    /signature/,
  ],
  'a task of another agent': [assertion({ task: 'theirs' }), 'assertion', /not one of this agent/],
  'a timestamp too old': [assertion({ at: NOW - 301_000 }), 'assertion', /too far/],
  'a timestamp too far ahead': [assertion({ at: NOW + 301_000 }), 'assertion', /too far/],
  'an assertion without account': [
    { authorization: assertion().authorization },
    'assertion',
    /chatgpt-account-id/,
  ],
  'an assertion for another account': [
    { ...assertion(), 'chatgpt-account-id': 'other' },
    'assertion',
    /chatgpt-account-id/,
  ],
  'a FedRAMP header without FedRAMP': [
    { ...assertion(), 'x-openai-fedramp': 'true' },
    'assertion',
    /must be absent/,
  ],
  'FedRAMP without its header': [
    { ...assertion({ id: 'agent-gov' }), 'chatgpt-account-id': 'gov' },
    'assertion',
    /must be "true"/,
  ],
  'an assertion on a bearer route': [assertion(), 'bearer', /takes none/],
  'an unknown bearer token': [bearer('made-up'), 'bearer', /not issued/],
  'an expired access token': [bearer('expired'), 'bearer', /expired/],
  'a revoked access token': [bearer('revoked'), 'bearer', /revoked/],
  'a bearer token without account': [
    { authorization: 'Bearer access' },
    'bearer',
    /chatgpt-account-id/,
  ],
  'a bearer token of another account': [
    { ...bearer('access'), 'chatgpt-account-id': 'other' },
    'bearer',
    /chatgpt-account-id/,
  ],
  'a registration without the FedRAMP header': [
    { authorization: 'Bearer gov' },
    'registration',
    /must be "true"/,
  ],
  'a registration with a personal access token': [
    { authorization: 'Bearer personal' },
    'registration',
    /access token/,
  ],
  'an API key on the ChatGPT backend': [bearer('key'), 'bearer', /under \/v1/],
  'an API key with an account header': [bearer('key'), 'apiKey', /without account/],
  'an access token under /v1': [bearer('access'), 'apiKey', /API key/],
  'two Authorization headers': [
    joinHeaders([
      ...['Authorization', 'Bearer access', 'authorization', 'Bearer access'],
      ...['ChatGPT-Account-ID', 'acc'],
    ]),
    'bearer',
    /not issued/,
  ],
};

for (const [name, [headers, route, problem]] of Object.entries(refused)) {
  t.test(`refuses ${name}`, async (t) => {
    const { refusal, auth, account: who } = judge(headers, route);
    t.equal(refusal, 'unauthorized');
    t.equal(auth.verified, false);
    t.match(auth.problem, problem);
    t.equal(who, null);
  });
}

t.test('refuses a timestamp in another format', async (t) => {
  const claims = claimsOf(assertion().authorization);
  const timestamp = wholeSeconds(NOW).replace('Z', '+00:00');
  const { signature: _, ...rest } = claims;
  const signature = signMessage(key, `agent-1:live/task:${timestamp}`);
  const { agent_runtime_id, task_id } = rest;
  const authorization = encode({ agent_runtime_id, signature, task_id, timestamp });
  t.match(judge({ ...assertion(), authorization }).auth.problem, /RFC 3339/);
});

t.test('says how a task ended, and that an agent was deleted', async (t) => {
  t.equal(judge(assertion({ task: 'old' })).refusal, 'task_expired');
  t.equal(judge(assertion({ task: 'gone' })).refusal, 'task_not_found');
  t.equal(judge(assertion({ id: 'agent-dead' })).refusal, 'agent_deleted');
});

t.test('refuses a bearer on an assertion route when told so', async (t) => {
  t.equal(judge(bearer('access'), 'assertion', 'refuse').refusal, 'unauthorized');
  t.equal(judge(bearer('access'), 'bearer', 'refuse').refusal, null);
});

t.test(
  'a bearer needs no account header where that is optional, but never a wrong one',
  async (t) => {
    const { authorization } = bearer('access');
    const judged = (headers: Record<string, string>) => {
      return judge({ authorization, ...headers }, 'bearer', 'accept', 'optional').auth.verified;
    };
    t.ok(judged({}));
    t.ok(judged({ 'chatgpt-account-id': 'acc' }));
    t.notOk(judged({ 'chatgpt-account-id': 'other' }));
  },
);
