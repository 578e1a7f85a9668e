import t from 'tap';
import { normalizePlanType } from '../../src/base/plan-type.ts';

// The list of the Codex app-server protocol, written out once more on purpose.
const PLANS =
  'free go plus pro prolite team self_serve_business_usage_based business ' +
  'enterprise_cbp_usage_based enterprise edu unknown';

for (const plan of PLANS.split(' ')) {
  t.test(`${plan} is a plan`, async (t) => {
    t.equal(normalizePlanType(plan), plan);
  });
}

t.test('letter case plays no part', async (t) => {
  t.equal(normalizePlanType('Pro'), 'pro');
});

t.test('the aliases of Codex are read', async (t) => {
  t.equal(normalizePlanType('hc'), 'enterprise');
  t.equal(normalizePlanType('education'), 'edu');
});

for (const value of ['diamond', 'pro ', '', 'toString', null, undefined, 7, ['pro'], {}]) {
  t.test(`${JSON.stringify(value)} is unknown`, async (t) => {
    t.equal(normalizePlanType(value), 'unknown');
  });
}
