import type { KeyObject } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Clock } from '../base/clock.ts';
import { createIdSource, type EmulatedAccount, type IdSource } from './accounts.ts';
import { AgentStore } from './agents.ts';
import type { ResponseCoding } from './compression.ts';
import { DeviceLogins } from './device-logins.ts';
import type { EmulatedExchange } from './exchange.ts';
import { FaultBook } from './faults.ts';
import { InstanceStore } from './instances.ts';
import { Recorder } from './records.ts';
import { refusalResponse } from './refusals.ts';
import type { EmulatedResponse } from './response.ts';
import {
  createSigningKey,
  keyOfNobody,
  type SigningKey,
  signingKeyOfProcess,
} from './signing-key.ts';
import { TokenStore } from './tokens.ts';
import { type RequiredAuth, type Verdict, verifyRequest } from './verify.ts';
import { WorkloadRules } from './workload-rules.ts';

/** What can be changed while the emulator runs. */
export interface EmulatorSettings {
  /** Whether a good bearer token passes where an assertion is expected; default accept. */
  bearerOnAssertionRoutes: 'accept' | 'refuse';
  /** Whether a bearer passes without the header that names its account; default required. */
  accountHeader: 'required' | 'optional';
  /** Hands out run-task ids sealed to the key of the agent; default false. */
  sealTaskIds: boolean;
  /** How long the response to a refresh takes, after it was decided on; default 0. */
  refreshResponseDelayMs: number;
  /** Whether a spent refresh token that comes again ends the login's living one; default false. */
  revokeFamilyOnReuse: boolean;
  /** How far the clock of the backend runs ahead: its `Date` header and every check of time. */
  dateSkewSeconds: number;
  /** Accepted distance of a signed timestamp from that clock; default 300. */
  maxTimestampSkewSeconds: number;
  /** Whether anybody can sign in with a device code; default true. */
  deviceLogin: boolean;
  /** How often a sign-in may be asked about; default 5. */
  deviceIntervalSeconds: number;
  /** How long a device code can be used; default 900. */
  deviceCodeSeconds: number;
  /** How responses are compressed for clients that accept it; default null: not at all. */
  compression: ResponseCoding | null;
  /** Where `accounts/check` says that the workspace of the account is; null says nothing. */
  workspaceBackendOrigin: string | null;
  /** Whether inference also tells what the account has used of its limits; default false. */
  tellLimits: boolean;
}

/** Everything that the parts of one emulator share. */
export interface EmulatorState {
  readonly settings: EmulatorSettings;
  /** The clock of the backend, its skew included. */
  readonly now: Clock;
  readonly nextId: IdSource;
  readonly signingKey: SigningKey;
  readonly unknownKey: () => KeyObject;
  readonly tokens: TokenStore;
  readonly deviceLogins: DeviceLogins;
  readonly workloadRules: WorkloadRules;
  readonly agents: AgentStore;
  readonly instances: InstanceStore;
  readonly faults: FaultBook;
  readonly recorder: Recorder;
  readonly exchanges: WeakMap<IncomingMessage, EmulatedExchange>;
  /** Aborted when the emulator closes. */
  readonly closing: AbortSignal;
}

export async function createState(options: {
  now: Clock;
  accessTokenLifetimeSeconds: number;
  ownSigningKey: boolean;
  closing: AbortSignal;
}): Promise<EmulatorState> {
  const settings: EmulatorSettings = {
    bearerOnAssertionRoutes: 'accept',
    accountHeader: 'required',
    sealTaskIds: false,
    refreshResponseDelayMs: 0,
    revokeFamilyOnReuse: false,
    dateSkewSeconds: 0,
    maxTimestampSkewSeconds: 300,
    deviceLogin: true,
    deviceIntervalSeconds: 5,
    deviceCodeSeconds: 900,
    compression: null,
    workspaceBackendOrigin: 'https://chatgpt.com',
    tellLimits: false,
  };
  const now = () => options.now() + settings.dateSkewSeconds * 1000;
  const nextId = createIdSource();
  const signingKey = await (options.ownSigningKey ? createSigningKey() : signingKeyOfProcess());
  const { accessTokenLifetimeSeconds, closing } = options;
  return {
    settings,
    now,
    nextId,
    signingKey,
    unknownKey: keyOfNobody,
    tokens: new TokenStore({ signingKey, nextId, now, accessTokenLifetimeSeconds }),
    deviceLogins: new DeviceLogins(now),
    workloadRules: new WorkloadRules(now, nextId),
    agents: new AgentStore(nextId),
    instances: new InstanceStore(nextId),
    faults: new FaultBook(),
    recorder: new Recorder(),
    exchanges: new WeakMap(),
    closing,
  };
}

/** The exchange that belongs to a request of the HTTP server. */
export function exchangeOf(state: EmulatorState, request: IncomingMessage): EmulatedExchange {
  const exchange = state.exchanges.get(request);
  if (!exchange) throw new Error('the request did not come through the server of the emulator');
  return exchange;
}

/** Records the arrival of a request. */
export function openExchange(
  state: EmulatorState,
  request: IncomingMessage,
  transport: 'http' | 'websocket',
): EmulatedExchange {
  const record = state.recorder.open(request, transport, state.now());
  const exchange: EmulatedExchange = { record, fault: null, verdict: null, severed: false };
  state.exchanges.set(request, exchange);
  return exchange;
}

/** Judges the credential of a request and writes the verdict into its record. */
export function judge(
  state: EmulatorState,
  exchange: EmulatedExchange,
  route: RequiredAuth,
): Verdict {
  const { settings, agents, instances, tokens, recorder } = state;
  const rules = {
    route,
    bearerOnAssertionRoutes: settings.bearerOnAssertionRoutes,
    accountHeader: settings.accountHeader,
    nowMs: state.now(),
    maxTimestampSkewSeconds: settings.maxTimestampSkewSeconds,
  };
  const verdict = verifyRequest(exchange.record.headers, rules, {
    agent: (id) => agents.find(id),
    instance: (id) => instances.find(id),
    grant: (token) => tokens.find(token),
  });
  exchange.verdict = verdict;
  exchange.record.auth = verdict.auth;
  recorder.changed(exchange.record);
  return verdict;
}

/** The response for the account whose credential came with a request. */
export function ofAccount(
  state: EmulatorState,
  request: IncomingMessage,
  make: (account: EmulatedAccount) => EmulatedResponse,
): EmulatedResponse {
  const account = exchangeOf(state, request).verdict?.account ?? null;
  return account === null ? refusalResponse('unauthorized') : make(account);
}
