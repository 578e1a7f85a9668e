import { randomBytes } from 'node:crypto';
import type { EmulatedAccount, IdSource } from './accounts.ts';

/** Whether a run task still counts, or how its end is reported. */
type TaskState = 'live' | 'expired' | 'not_found';

/** A registered agent runtime with the run tasks that are bound to it. */
export interface Agent {
  readonly agentRuntimeId: string;
  /** `ssh-ed25519 AAAA…` */
  readonly publicKeySsh: string;
  readonly account: EmulatedAccount;
  readonly tasks: Map<string, TaskState>;
  deleted: boolean;
}

/** The agent runtimes and run tasks of one emulator. */
export class AgentStore {
  readonly #agents = new Map<string, Agent>();
  readonly #nextId: IdSource;
  #taskCount = 0;

  constructor(nextId: IdSource) {
    this.#nextId = nextId;
  }

  find(agentRuntimeId: string): Agent | null {
    return this.#agents.get(agentRuntimeId) ?? null;
  }

  /** How many were registered, run tasks of all agents together. */
  get counts(): { agents: number; tasks: number } {
    return { agents: this.#agents.size, tasks: this.#taskCount };
  }

  register(publicKeySsh: string, account: EmulatedAccount): Agent {
    // The `+` catches a client that does not encode the id as a path segment.
    const agentRuntimeId = this.#nextId('agent-rt+');
    const agent = { agentRuntimeId, publicKeySsh, account, tasks: new Map(), deleted: false };
    this.#agents.set(agentRuntimeId, agent);
    return agent;
  }

  /** Binds a new run task to the agent. Its id holds the characters that opaque ids may hold. */
  registerTask(agent: Agent): string {
    this.#taskCount += 1;
    const taskId = `task_${this.#taskCount}/opaque+${randomBytes(6).toString('hex')}==:x`;
    agent.tasks.set(taskId, 'live');
    return taskId;
  }

  /** Throws when no agent holds the task. */
  revokeTask(taskId: string, how: Exclude<TaskState, 'live'>): void {
    const agent = [...this.#agents.values()].find(({ tasks }) => tasks.has(taskId));
    if (!agent) throw new Error('task_id names no task of this emulator');
    agent.tasks.set(taskId, how);
  }

  /** Throws when the agent is unknown. */
  delete(agentRuntimeId: string): void {
    const agent = this.find(agentRuntimeId);
    if (!agent) throw new Error('agent_runtime_id names no agent of this emulator');
    agent.deleted = true;
  }
}
