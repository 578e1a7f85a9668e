import type { IssuedLogin } from '../../../src/emulator/index.ts';
import { type Configuration, configToml } from './configurations.ts';
import type { Stage } from './stage.ts';

/** The account of every login here. */
export const ACCOUNT = 'account-of-the-drift-check';
const WORKSPACE_PLANS = ['business'];

interface Preparation {
  planType?: string;
  webSockets?: boolean;
  /** Further lines at the top of `config.toml`. */
  lines?: readonly string[];
}

/** A home with a ChatGPT login, at a backend that serves the account at OpenAI's own origin. */
export async function prepare(
  stage: Stage,
  configuration: Configuration,
  { planType = 'plus', ...options }: Preparation = {},
): Promise<IssuedLogin> {
  const login = stage.backend.issueLogin({ accountId: ACCOUNT, planType });
  await stage.logIn(login.authJson);
  await configure(stage, configuration, login.accessToken, options);
  stage.backend.addFault({
    path: '/backend-api/wham/accounts/check',
    times: 0,
    body: accountsOf(planType),
  });
  stage.slowDown();
  return login;
}

/** @param clientToken taken by the backend as well, which stands for sidecar and upstream at once */
export async function configure(
  stage: Stage,
  configuration: Configuration,
  clientToken: string,
  options: Pick<Preparation, 'webSockets' | 'lines'> = {},
): Promise<void> {
  const { url } = stage;
  await stage.configure(configToml(configuration, { url, clientToken, ...options }));
}

function accountsOf(planType: string): object {
  const account = {
    id: ACCOUNT,
    plan_type: planType,
    structure: WORKSPACE_PLANS.includes(planType) ? 'workspace' : 'personal',
    workspace_backend_origin: 'https://chatgpt.com',
    account_routing_override: 'us',
  };
  return { accounts: [account], default_account_id: ACCOUNT };
}
