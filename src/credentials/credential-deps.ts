import type { AuthStore } from '../auth-store/store.ts';
import type { Clock, MonotonicClock } from '../base/clock.ts';
import type { Logger } from '../base/logger.ts';
import type { Schedule } from '../base/schedule.ts';
import type { Config } from '../config/resolve.ts';
import type { CredentialObserver } from '../telemetry/credential-events.ts';
import type { HttpClient } from '../upstream/http-client.ts';
import type { RefreshAhead } from './chatgpt-login.ts';

/** What the providers of a credential are made of. */
export interface CredentialDeps {
  config: Pick<Config, 'upstream' | 'agentIdentity'>;
  refreshAhead?: RefreshAhead | undefined;
  store: AuthStore;
  http: HttpClient;
  now: Clock;
  monotonicNow: MonotonicClock;
  /** Time as the backend sees it; stamps assertions and registrations. */
  backendNow: Clock;
  schedule: Schedule;
  sleep: (ms: number) => Promise<void>;
  log: Logger;
  version: string;
  platform: string;
  /** A UUID that names this installation. */
  installationId: string;
  /** `CODEX_APP_SERVER_LOGIN_CLIENT_ID`; null means Codex's own. */
  oauthClientId: string | null;
  /** Called for each event, if given. */
  observe?: CredentialObserver | undefined;
}
