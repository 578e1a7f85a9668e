import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import type { ConnectionOptions } from 'node:tls';
import type { Test } from 'tap';
import { PURPOSES } from '../../src/clients/client-tokens.ts';
import type { PartialConfig } from '../../src/config/resolve.ts';
import { startEmulator } from '../../src/emulator/index.ts';
import { makeFolder, startTestSidecar, type TestSidecar } from '../helpers/sidecar.ts';
import { dialTls, type TlsStand } from '../helpers/tls-listener.ts';

/** Reaches every path. */
export const TOKEN = 'client-token-of-the-attacked';
/** A token with a purpose. */
export const tokenFor = (purpose: string) => `${TOKEN}-for-${purpose}`;
const digestOf = (token: string) => createHash('sha256').update(token).digest('hex');

/** What reached the upstream. */
export interface Seen {
  /** Method and target. */
  line: string;
  rawHeaders: string[];
  /** Scheme of the credential; "none" without one. */
  auth: string;
  body: string;
  /** False for one that was cut off in the middle of its body. */
  complete: boolean;
}

export interface GuardedSidecar extends TestSidecar {
  seen: Seen[];
  /** What the upstream could not parse: the sidecar must never send such a thing. */
  broken: string[];
  /** Opens a connection to the sidecar that goes with the test. */
  dial(shown?: ConnectionOptions): Socket;
}

export interface GuardedSidecarOptions {
  viaSocket?: boolean;
  /** A listener with TLS. */
  tls?: TlsStand;
  config?: PartialConfig;
}

/**
 * A sidecar with a client token, whose credential makes assertions and bearers, in front of an
 * upstream that answers everything with 200 and writes it down.
 */
export async function startGuardedSidecar(
  t: Test,
  options: GuardedSidecarOptions = {},
): Promise<GuardedSidecar> {
  const emulator = await startEmulator();
  t.teardown(() => emulator.close());
  const { origin, seen, broken } = await startRecorder(t);
  const folder = await makeFolder(t);
  const tokensFile = join(folder, 'tokens');
  await writeFile(
    tokensFile,
    [
      `test:${digestOf(TOKEN)}\n`,
      ...Object.keys(PURPOSES).map((name) => `${name}:${digestOf(tokenFor(name))} for=${name}\n`),
    ].join(''),
  );
  const socket = join(folder, 's');
  const sidecar = await startTestSidecar(t, {
    authJson: emulator.issueLogin().authJson,
    config: {
      ...options.config,
      ...(options.viaSocket ? { listen: { socket } } : {}),
      ...(options.tls ? { listen: { tls: options.tls.config } } : {}),
      agentIdentity: { policy: 'chatgptAuth' },
      clients: { tokensFile },
      upstream: { ...emulator.upstream, chatgptBaseUrl: `${origin}/backend-api`, proxy: null },
    },
  });
  // Registers the identity, so that no test has to wait for it.
  await sidecar.sidecar.manager.prepare();
  const dial = (shown: ConnectionOptions = {}) => {
    if (options.tls) return dialTls(t, sidecar.port, { ...options.tls.trust, ...shown });
    const client = connect(
      options.viaSocket
        ? { path: socket, allowHalfOpen: true }
        : { port: sidecar.port, host: '127.0.0.1', allowHalfOpen: true },
    );
    client.on('error', () => client.destroy());
    t.teardown(() => client.destroy());
    return client;
  };
  return { ...sidecar, seen, broken, dial };
}

async function startRecorder(t: Test) {
  const seen: Seen[] = [];
  const broken: string[] = [];
  const server = createServer({ maxHeaderSize: 1024 * 1024 }, (request, response) => {
    const entry = describe(request);
    seen.push(entry);
    request.setEncoding('latin1');
    request.on('error', () => undefined);
    request.on('data', (text: string) => {
      entry.body += text;
    });
    request.on('end', () => {
      entry.complete = true;
      response.end('from the upstream');
    });
  });
  server.on('upgrade', (request, socket) => {
    seen.push({ ...describe(request), complete: true });
    socket.on('error', () => socket.destroy());
    socket.end('HTTP/1.1 426 Upgrade Required\r\ncontent-length: 0\r\n\r\n');
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // A client that is cut off in the middle of its request shows here as well.
    if (error.code !== 'ECONNRESET' && error.code !== 'HPE_INVALID_EOF_STATE') {
      broken.push(String(error.code));
    }
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen, broken };
}

function describe({ method, url, rawHeaders, headers }: IncomingMessage): Seen {
  const auth = headers.authorization?.split(' ')[0] ?? 'none';
  return { line: `${method} ${url}`, rawHeaders, auth, body: '', complete: false };
}
