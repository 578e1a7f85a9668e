import type { IssuedLogin } from '../../../src/emulator/index.ts';
import { type Configuration, configToml } from './configurations.ts';
import type { Stage } from './stage.ts';

/** The account of every login here. */
export const ACCOUNT = 'account-of-the-drift-check';

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
  stage.tokens.set(login.accessToken, 'the login');
  const { accessToken: clientToken } = stage.backend.issueLogin({ accountId: ACCOUNT, planType });
  await configure(stage, configuration, clientToken, options);
  stage.backend.settings.workspaceBackendOrigin = 'https://chatgpt.com';
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
  stage.tokens.set(clientToken, 'the client token');
  await stage.configure(configToml(configuration, { url, clientToken, ...options }));
}
