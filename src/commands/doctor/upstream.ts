import { lookup } from 'node:dns/promises';
import { connect, isIP } from 'node:net';
import type { Dispatcher } from 'undici';
import { jwksUrl, parseJwks, verifyIdentityToken } from '../../agent-identity/identity-token.ts';
import type { Secret } from '../../base/secret.ts';
import { USER_AGENT } from '../../base/version.ts';
import type { Config } from '../../config/resolve.ts';
import { hasInstance, hasRecord } from '../../credentials/identity-forms.ts';
import { instanceUrl, isKnownIssuer, oauthEndpoints } from '../../credentials/oauth-endpoints.ts';
import type { Selection } from '../../credentials/selection.ts';
import type { BackendClock } from '../../upstream/backend-clock.ts';
import { type ProxyEnvironment, proxyFor } from '../../upstream/egress-proxy.ts';
import { transportCode } from '../../upstream/failure-text.ts';
import { CallError, createHttpClient, type HttpClient } from '../../upstream/http-client.ts';
import { upstreamError } from '../../upstream/transport-error.ts';
import { type Finding, failure, ok, warning } from './finding.ts';

const TIMEOUT_MS = 8_000;
const MAX_BYTES = 256 * 1024;
/** Beyond this the sidecar corrects its clock; see `backend-clock.ts`. */
const SKEW_SECONDS = 30;

export interface Network {
  dispatcher: Dispatcher;
  /** `upstream.proxy` of the configuration. */
  proxy: string | null;
  proxyEnvironment: ProxyEnvironment;
}

/** One URL for each origin that this credential needs; the first is the model's. */
export function neededUpstreams(selection: Selection | null, { upstream, agentIdentity }: Config) {
  const { chatgptBaseUrl, authApiBaseUrl, jwksBaseUrl, openaiBaseUrl } = upstream;
  const provenance = selection?.kind === 'chatgpt' ? selection.tokens.provenance : null;
  // Tokens of another issuer are refused before anything is sent.
  const known = provenance && isKnownIssuer(upstream, provenance) ? provenance : null;
  const { tokenUrl } = oauthEndpoints(upstream, known, null);
  const instances = hasInstance(agentIdentity) ? [instanceUrl(upstream)] : [];
  const urls = {
    apikey: [openaiBaseUrl],
    personalAccessToken: [chatgptBaseUrl, authApiBaseUrl, ...instances],
    identityToken: [chatgptBaseUrl, authApiBaseUrl, jwksBaseUrl ?? chatgptBaseUrl],
    identityRecord: [chatgptBaseUrl, authApiBaseUrl],
    workload: [chatgptBaseUrl, tokenUrl],
    chatgpt: [
      chatgptBaseUrl,
      tokenUrl,
      ...(hasRecord(agentIdentity) ? [authApiBaseUrl] : []),
      ...instances,
    ],
  };
  const needed = selection ? urls[selection.kind] : [chatgptBaseUrl];
  const isFirst = (url: string, index: number) =>
    needed.findIndex((other) => new URL(other).origin === new URL(url).origin) === index;
  return needed.filter(isFirst);
}

/**
 * Checks name, connection, certificate and response, and stops at the first that fails. Nothing that
 * we send holds a credential.
 */
export async function checkUpstream(
  url: string,
  network: Network,
  clock: BackendClock | null,
  resolveName: (name: string) => Promise<unknown> = lookup,
): Promise<Finding[]> {
  const { origin, host, protocol } = new URL(url);
  const proxy = proxyFor(new URL(url), network);
  const first = proxy === null ? new URL(url) : proxy;
  const via = proxy === null ? '' : ` (the proxy for ${host})`;
  const findings: Finding[] = [];
  const name = first.hostname.replace(/^\[|\]$/g, '');
  if (isIP(name) === 0) {
    const check = `DNS ${name}`;
    const problem = await resolveName(name).then(() => null, transportCode);
    if (problem !== null) {
      return [
        failure(
          check,
          `does not resolve${via} (${problem})`,
          'check DNS and the spelling of the name',
        ),
      ];
    }
    findings.push(ok(check, `resolves${via}`));
  }
  const port = Number(first.port || (first.protocol === 'https:' ? 443 : 80));
  const refusal = await canConnect(name, port);
  const remedy = proxy === null ? 'check network, firewall and upstream.proxy' : 'check the proxy';
  const check = `TCP ${first.hostname}:${port}`;
  if (refusal !== null)
    return [...findings, failure(check, `cannot connect${via} (${refusal})`, remedy)];
  findings.push(ok(check, `connects${via}`));
  const http = createHttpClient(network.dispatcher, USER_AGENT, (date) => clock?.observe(date));
  const last = await askHttp(url, http);
  if (last.check === 'TLS') return [...findings, { ...last, check: `TLS ${host}` }];
  if (protocol === 'https:' && last.outcome !== 'failure') {
    findings.push(ok(`TLS ${host}`, 'the certificate is trusted'));
  }
  return [...findings, { ...last, check: `HTTP ${origin}` }];
}

async function askHttp(url: string, http: HttpClient): Promise<Finding> {
  const { origin } = new URL(url);
  try {
    const { status, headers } = await http({
      method: 'GET',
      url,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
    if (headers['cf-mitigated'] === 'challenge') {
      return warning('HTTP', `Cloudflare sent a challenge (${status})`, 'check your proxy and VPN');
    }
    return judgeStatus(status);
  } catch (error) {
    if (error instanceof CallError && error.partial) return judgeStatus(error.partial.status);
    if (error instanceof CallError && error.isTimeout) {
      return failure(
        'HTTP',
        `no response within ${TIMEOUT_MS / 1000} s`,
        'check network and proxy',
      );
    }
    const { code, message } = upstreamError(error, origin);
    if (code === 'UPSTREAM_TLS') {
      return failure(
        'TLS',
        message,
        'if the certificate authority is your own, set upstream.caFile',
      );
    }
    return failure('HTTP', message, 'check network and proxy');
  }
}

/** Without a credential, 401, 403 and 404 are good signs. */
function judgeStatus(status: number): Finding {
  if (status < 500) return ok('HTTP', `responds (${status} without a credential)`);
  return warning('HTTP', `responds with ${status}`, 'the backend has a problem; try again later');
}

export async function checkJwks(
  token: Secret,
  baseUrl: string,
  dispatcher: Dispatcher,
  nowMs: number,
): Promise<Finding> {
  const url = jwksUrl(baseUrl);
  const http = createHttpClient(dispatcher, USER_AGENT);
  try {
    const { status, text } = await http({
      method: 'GET',
      url,
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    });
    if (status !== 200)
      return failure('JWKS', `${url} responded with ${status}`, 'check upstream.jwksBaseUrl');
    await verifyIdentityToken(token, readJwks(url, text), nowMs);
    return ok('JWKS', 'verifies the Agent Identity JWT');
  } catch (error) {
    return failure(
      'JWKS',
      (error as Error).message || `${url} could not be fetched`,
      'check upstream.jwksBaseUrl and the JWT',
    );
  }
}

function readJwks(url: string, text: string): ReturnType<typeof parseJwks> {
  try {
    return parseJwks(text);
  } catch (cause) {
    throw new Error(`${url} did not send a JWKS`, { cause });
  }
}

/** @param skewSeconds our clock minus the backend's; null when no response had a date */
export function checkClock(skewSeconds: number | null): Finding {
  if (skewSeconds === null)
    return warning('clock', 'cannot be checked: no response had a date', null);
  const text = `${Math.abs(skewSeconds)} s ${skewSeconds < 0 ? 'behind' : 'ahead of'} the backend`;
  if (Math.abs(skewSeconds) <= SKEW_SECONDS) return ok('clock', text);
  return warning('clock', text, 'set the clock; until then the sidecar corrects for it');
}

/** @returns null when the connection succeeds, else why it does not */
function canConnect(host: string, port: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: TIMEOUT_MS });
    const end = (problem: string | null) => {
      socket.destroy();
      resolve(problem);
    };
    socket.once('connect', () => end(null));
    socket.once('timeout', () => end(`no response within ${TIMEOUT_MS / 1000} s`));
    socket.once('error', (error) => end(transportCode(error)));
  });
}
