import t from 'tap';
import { normalizePlanType } from '../../src/base/plan-type.ts';

// The list of the Codex app-server protocol, written out once more on purpose.
const PLANS =
  'free go plus pro prolite promax team self_serve_business_usage_based ' +
  'self_serve_business_prolite business ent26 enterprise_cbp_usage_based ' +
  'enterprise_cbp_automation enterprise edu edu_plus edu_pro sci sci_plus unknown';

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
