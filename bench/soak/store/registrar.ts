import { Agent } from 'undici';
import type { SharedAuthStore } from '../../../src/auth-store/shared-store.ts';
import type { RegisteredIdentity } from '../../../src/credentials/registered-identity.ts';
import { createHttpClient } from '../../../src/upstream/http-client.ts';
import { openIdentity } from '../../../test/store/open-identity.ts';
import { openStore, type StoreOptions } from '../../../test/store/open-store.ts';

// One of several processes that share an agent identity. It does as its parent says, and tells what came
// of it.
export interface RegistrarOptions extends StoreOptions {
  authApiBaseUrl: string;
}

/** `start`: as after a start of the process, with nothing but what the store holds. */
export type RegistrarOrder = { do: 'start' } | { do: 'renew'; taskId: string };

export type RegistrarReply = { taskId: string } | { problem: string };

const options = JSON.parse(process.argv[2] ?? '{}') as RegistrarOptions;
const http = createHttpClient(new Agent(), 'codex-auth-sidecar/test');
let store: SharedAuthStore | null = null;
let identity: RegisteredIdentity | null = null;

async function carryOut(order: RegistrarOrder): Promise<string> {
  if (order.do === 'start') {
    await store?.close();
    store = openStore(options);
    const { authApiBaseUrl } = options;
    identity = await openIdentity(store, { http, authApiBaseUrl, pauseMs: 0 });
    return (await identity.establish()).taskId;
  }
  if (!identity) throw new Error('start comes first');
  return (await identity.renew(order.taskId)).taskId;
}

process.on('message', (order: RegistrarOrder) => {
  const reply = (message: RegistrarReply) => process.send?.(message);
  carryOut(order).then(
    (taskId) => reply({ taskId }),
    (error: Error) => reply({ problem: error.message }),
  );
});
// Its parent has ended.
process.on('disconnect', () => process.exit(0));
