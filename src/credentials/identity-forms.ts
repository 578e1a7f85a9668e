import type { Config } from '../config/resolve.ts';

type IdentitySettings = Config['agentIdentity'];

/** Whether a ChatGPT login has an identity that is kept as a record beside it. */
export function hasRecord({ policy, form }: IdentitySettings): boolean {
  return policy === 'chatgptAuth' && form === 'runTask';
}

/** Whether a login registers a runtime instance, which exists in memory only. */
export function hasInstance({ policy, form }: IdentitySettings): boolean {
  return policy === 'chatgptAuth' && form === 'runtimeInstance';
}
