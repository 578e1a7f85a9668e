import {
  decodeIdentityToken,
  type IdentityTokenClaims,
  jwksUrl,
  parseJwks,
  verifyIdentityToken,
} from '../agent-identity/identity-token.ts';
import { fingerprint } from '../agent-identity/keys.ts';
import { type AuthApi, registerTask } from '../agent-identity/registration.ts';
import type { Clock } from '../base/clock.ts';
import { SidecarError } from '../base/errors.ts';
import type { Secret } from '../base/secret.ts';
import { type CredentialObserver, observeRegistration } from '../telemetry/credential-events.ts';
import { callFailureText, type HttpClient, type TextResponse } from '../upstream/http-client.ts';
import type { IdentityFacts, IdentitySource } from './identity-source.ts';
import { RUN_TASK_FORM, RunTaskIdentity } from './run-task-identity.ts';

const JWKS_TIMEOUT_MS = 10_000;
const JWKS_MAX_BYTES = 256 * 1024;

interface JwtIdentityDeps {
  http: HttpClient;
  authApi: AuthApi;
  jwksBaseUrl: string;
  now: Clock;
  /** Called for each event, if given. */
  observe?: CredentialObserver | undefined;
}

/**
 * An Agent Identity JWT: verified against the JWKS, its run task held in memory only.
 * The constructor checks everything that needs no network and throws AUTH_CREDENTIAL_INVALID.
 */
export class JwtIdentity implements IdentitySource {
  readonly form = RUN_TASK_FORM;
  readonly source = 'jwt';
  readonly claims: IdentityTokenClaims;
  readonly #token: Secret;
  readonly #deps: JwtIdentityDeps;
  #verified = false;

  constructor(token: Secret, deps: JwtIdentityDeps) {
    this.claims = decodeIdentityToken(token, deps.now());
    this.#token = token;
    this.#deps = deps;
  }

  known(): Partial<IdentityFacts> {
    const { agentRuntimeId, key } = this.claims;
    return { agentRuntimeId, publicKey: fingerprint(key.publicKeySsh) };
  }

  establishNow(): null {
    return null;
  }

  async establish(): Promise<RunTaskIdentity> {
    await this.#verify();
    return this.renew();
  }

  async renew(): Promise<RunTaskIdentity> {
    const { agentRuntimeId, key, accountId, fedramp } = this.claims;
    const { authApi, observe, now } = this.#deps;
    const registration = registerTask(authApi, { agentRuntimeId, key });
    const taskId = await observeRegistration(observe, 'task', registration);
    const taskRegisteredAt = now();
    const task = { agentRuntimeId, key, accountId, fedramp, taskId, taskRegisteredAt };
    return new RunTaskIdentity(task, observe);
  }

  async #verify(): Promise<void> {
    if (this.#verified) return;
    const { http, jwksBaseUrl, now } = this.#deps;
    await verifyIdentityToken(this.#token, await fetchJwks(http, jwksBaseUrl), now());
    this.#verified = true;
  }
}

async function fetchJwks(http: HttpClient, baseUrl: string): Promise<ReturnType<typeof parseJwks>> {
  let response: TextResponse;
  try {
    response = await http({
      method: 'GET',
      url: jwksUrl(baseUrl),
      timeoutMs: JWKS_TIMEOUT_MS,
      maxBytes: JWKS_MAX_BYTES,
    });
  } catch (cause) {
    throw unavailable(`no usable response: ${callFailureText(cause)}`, null, cause);
  }
  if (response.status !== 200) {
    throw unavailable(`it answered ${response.status}`, response.retryAfterMs);
  }
  try {
    return parseJwks(response.text);
  } catch (cause) {
    throw unavailable('the response is not a JWKS', null, cause);
  }
}

function unavailable(problem: string, retryAfterMs: number | null, cause?: unknown): SidecarError {
  return new SidecarError(
    'AUTH_IDENTITY_UNAVAILABLE',
    `the JWKS that verifies the Agent Identity JWT is not available: ${problem}`,
    {
      ...(retryAfterMs === null ? {} : { retryAfterSeconds: retryAfterMs / 1000 }),
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
