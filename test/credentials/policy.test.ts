import t from 'tap';
import { SidecarError } from '../../src/base/errors.ts';
import type { RouteAuth } from '../../src/config/resolve.ts';
import { type Abilities, decide } from '../../src/credentials/policy.ts';

const CREDENTIALS: Record<string, Abilities> = {
  apikey: { mode: 'apikey', bearer: true, assertion: false },
  'chatgpt jwtOnly': { mode: 'chatgpt', bearer: true, assertion: false },
  'chatgpt chatgptAuth': { mode: 'chatgpt', bearer: true, assertion: true },
  'chatgptAuthTokens jwtOnly': { mode: 'chatgptAuthTokens', bearer: true, assertion: false },
  agentIdentity: { mode: 'agentIdentity', bearer: false, assertion: true },
  personalAccessToken: { mode: 'personalAccessToken', bearer: true, assertion: false },
};

type Row = [credential: string, assertion: string, bearer: string];

const MODEL_ROUTES: Row[] = [
  ['apikey', 'bearer to openai', 'bearer to openai'],
  ['chatgpt jwtOnly', 'bearer to chatgpt', 'bearer to chatgpt'],
  ['chatgpt chatgptAuth', 'assertion to chatgpt', 'bearer to chatgpt'],
  ['chatgptAuthTokens jwtOnly', 'bearer to chatgpt', 'bearer to chatgpt'],
  ['agentIdentity', 'assertion to chatgpt', 'AUTH_NO_BEARER'],
  ['personalAccessToken', 'bearer to chatgpt', 'bearer to chatgpt'],
];

// Only an API key has no others.
const OTHER_ROUTES: Row[] = [
  ['apikey', 'AUTH_ROUTE_DENIED', 'AUTH_ROUTE_DENIED'],
  ...MODEL_ROUTES.slice(1),
];

function outcome(auth: RouteAuth, modelRoute: boolean, can: Abilities): string {
  try {
    const { inject, upstream } = decide(auth, modelRoute, can);
    return `${inject} to ${upstream}`;
  } catch (error) {
    if (error instanceof SidecarError) return error.code;
    throw error;
  }
}

for (const [modelRoute, rows] of [
  [true, MODEL_ROUTES],
  [false, OTHER_ROUTES],
] as const) {
  for (const [credential, assertion, bearer] of rows) {
    const place = modelRoute ? 'a model route' : 'another route';
    t.test(`${credential} on ${place}`, async (t) => {
      const can = CREDENTIALS[credential] as Abilities;
      t.equal(outcome('assertion', modelRoute, can), assertion);
      t.equal(outcome('bearer', modelRoute, can), bearer);
      t.equal(outcome('none', modelRoute, can), 'none to chatgpt');
      t.equal(outcome('deny', modelRoute, can), 'AUTH_ROUTE_DENIED');
    });
  }
}
