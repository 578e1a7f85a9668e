import {
  parseInstanceAssertion,
  verifyInstanceAssertion,
} from '../agent-identity/instance-assertion.ts';
import type { Instance } from './instances.ts';

interface InstanceRules {
  nowMs: number;
  maxTimestampSkewSeconds: number;
}

/** The instance that an assertion names, and what is wrong with it; a problem of null is none. */
export interface InstanceVerdict {
  instance: Instance | null;
  problem: string | null;
}

/**
 * Judges an assertion of the second form: its bytes, its signature, its time, and that it was not
 * sent before. A good one is used up by this.
 */
export function verifyInstance(
  text: string,
  { nowMs, maxTimestampSkewSeconds }: InstanceRules,
  find: (instanceId: string) => Instance | null,
): InstanceVerdict {
  const assertion = parseInstanceAssertion(text);
  if (!assertion) return { instance: null, problem: 'the assertion is malformed' };
  const { runtime_agent_instance: instanceId, iat, id } = assertion.claims;
  const instance = find(instanceId);
  const refuse = (problem: string) => ({ instance, problem });
  if (!instance) return refuse('the runtime instance is not registered');
  if (!verifyInstanceAssertion(assertion, instance.publicKeySsh)) {
    return refuse('the signature does not verify with the registered key');
  }
  if (instance.state !== 'live') return refuse(`the runtime instance is ${instance.state}`);
  if (Math.abs(iat * 1000 - nowMs) > maxTimestampSkewSeconds * 1000) {
    return refuse('iat is too far from the clock of the server');
  }
  if (instance.usedIds.has(id)) return refuse('the assertion was sent before');
  instance.usedIds.add(id);
  return { instance, problem: null };
}
