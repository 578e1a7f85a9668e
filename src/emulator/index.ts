import type { Socket } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { type Clock, systemClock } from '../base/clock.ts';
import { createEmulatorApp } from './app.ts';
import { addAppsApi } from './apps-api.ts';
import { addAuthApi } from './auth-api.ts';
import { addBackendApi } from './backend-api.ts';
import { addCodexApi } from './codex-api.ts';
import { addControls } from './controls.ts';
import { addDeviceApi } from './device-api.ts';
import { addInstanceApi } from './instance-api.ts';
import { addOAuthApi } from './oauth-api.ts';
import { createOperator, type Operator } from './operator.ts';
import type { EmulatorRecord } from './records.ts';
import { createState } from './state.ts';
import { addWebSockets } from './websocket.ts';

export type { AccountOptions } from './accounts.ts';
export type { Fault, FaultAction } from './faults.ts';
export type { IdentityTokenOptions } from './issue-identity-token.ts';
export { type IssuedLogin, isThrowAwayLogin } from './operator.ts';
export type { EmulatorRecord, RecordedAuth } from './records.ts';
export type { EmulatorSettings } from './state.ts';

export interface EmulatorOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default 0: any free port. */
  port?: number;
  now?: Clock;
  /** Default ten days. */
  accessTokenLifetimeSeconds?: number;
  /** PEM texts; makes the emulator speak TLS. */
  https?: { key: string; cert: string };
  /** Default false: it signs with the key of all emulators of this process. */
  ownSigningKey?: boolean;
}

/** A running emulated backend. */
export interface Emulator extends Operator {
  /** Origin, e.g. `http://127.0.0.1:40123`. */
  url: string;
  /** Where its parts are, under the names of the sidecar's configuration. */
  upstream: {
    chatgptBaseUrl: string;
    openaiBaseUrl: string;
    authApiBaseUrl: string;
    oauthIssuer: string;
    oauthTokenUrl: string;
    oauthRevokeUrl: string;
  };
  /** In order of arrival, without calls to `/__emulator`. The records change as requests go on. */
  records: readonly EmulatorRecord[];
  /** The first record that matches, now or later. Rejects when the emulator closes before. */
  waitFor(predicate: (record: EmulatorRecord) => boolean): Promise<EmulatorRecord>;
  /** Closes at once and cuts every connection. */
  close(): Promise<void>;
}

const TEN_DAYS_SECONDS = 864_000;

/** Starts an emulated ChatGPT backend with AuthAPI, key set, OAuth and the API with keys. */
export async function startEmulator(options: EmulatorOptions = {}): Promise<Emulator> {
  const { host = '127.0.0.1', port = 0, https } = options;
  const closing = new AbortController();
  const state = await createState({
    now: options.now ?? systemClock,
    accessTokenLifetimeSeconds: options.accessTokenLifetimeSeconds ?? TEN_DAYS_SECONDS,
    ownSigningKey: options.ownSigningKey ?? false,
    closing: closing.signal,
  });
  const operator = createOperator(state);
  const app = createEmulatorApp(state, https);
  addAuthApi(app, state);
  addInstanceApi(app, state);
  addOAuthApi(app, state);
  addDeviceApi(app, state);
  addCodexApi(app, state);
  addBackendApi(app, state);
  addAppsApi(app, state);
  addControls(app, state, operator);
  addWebSockets(app.server, state);
  const cutConnections = trackConnections(app);
  await app.listen({ host, port });
  const url = originOf(app, host, https !== undefined);
  return {
    ...operator,
    url,
    upstream: upstreamOf(url),
    records: state.recorder.records,
    waitFor: (predicate) => state.recorder.waitFor(predicate),
    close: async () => {
      closing.abort();
      state.recorder.close();
      cutConnections();
      await app.close();
    },
  };
}

function upstreamOf(url: string): Emulator['upstream'] {
  return {
    chatgptBaseUrl: `${url}/backend-api`,
    openaiBaseUrl: `${url}/v1`,
    authApiBaseUrl: `${url}/api/accounts`,
    oauthIssuer: url,
    oauthTokenUrl: `${url}/oauth/token`,
    oauthRevokeUrl: `${url}/oauth/revoke`,
  };
}

/** Upgraded sockets are unknown to the HTTP server, so all of them are kept here. */
function trackConnections(app: FastifyInstance): () => void {
  const open = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    open.add(socket);
    socket.once('close', () => open.delete(socket));
  });
  return () => {
    for (const socket of open) socket.destroy();
  };
}

function originOf(app: FastifyInstance, host: string, tls: boolean): string {
  const address = app.server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const name = host.includes(':') ? `[${host}]` : host;
  return `${tls ? 'https' : 'http'}://${name}:${port}`;
}
