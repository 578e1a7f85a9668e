import { readFileSync } from 'node:fs';
import { join } from 'node:path';

interface Derived {
  name: string;
  seed_hex: string;
  private_key_pkcs8_v1: string;
  private_key_pkcs8_v2: string;
  public_key_ssh: string;
  agent_runtime_id: string;
  task_id: string;
  timestamp: string;
  task_registration_signature: string;
  assertion_signature: string;
  assertion_json: string;
  authorization: string;
  x25519_secret_hex: string;
  x25519_public_hex: string;
}

interface TaskRegistration {
  timestamp: string;
  signature: string;
}

interface RecordedJwtIdentity {
  agent_private_key: string;
  agent_runtime_id: string;
  task_id: string;
  task_registration: TaskRegistration;
  assertion_timestamp: string;
  authorization: string;
}

interface RecordedRegisteredRecord {
  auth_json_agent_identity: { agent_runtime_id: string; agent_private_key: string };
  public_key_ssh: string;
  task_registration: TaskRegistration;
}

interface AgentIdentityFixture {
  derived: [Derived, Derived];
  recorded: [RecordedJwtIdentity, RecordedRegisteredRecord];
  sealed_task_id: { plaintext: string; encrypted_task_id: string };
  key_generation: { seed_material_hex: string; derived_seed_hex: string };
}

/** The vectors of `test/fixtures/agent-identity.json`. Tests run from the root of the repository. */
export const fixture = JSON.parse(
  readFileSync(join(process.cwd(), 'test/fixtures/agent-identity.json'), 'utf8'),
) as AgentIdentityFixture;
