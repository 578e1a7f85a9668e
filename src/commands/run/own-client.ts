import { createHash, randomBytes } from 'node:crypto';
import { type ClientTokens, parseClientTokens } from '../../clients/client-tokens.ts';
import type { TokenSource } from '../../sidecar/preflight.ts';
import type { TokensRead } from '../../sidecar/tokens-file.ts';

/** The program as the one client of its sidecar. */
export class OwnClient implements TokenSource {
  /** Its id token names no account, and must not get one by a refresh. */
  readonly keepsIdToken = true;
  readonly #purpose: 'codex' | 'inference';
  #token = randomBytes(24).toString('base64url');

  /** @param isCodex other programs need the Responses API alone */
  constructor(isCodex: boolean) {
    this.#purpose = isCodex ? 'codex' : 'inference';
  }

  get token(): string {
    return this.#token;
  }

  /** Exchanges the token. @returns the rules for it */
  use(token: string): ClientTokens {
    this.#token = token;
    return this.#tokens();
  }

  async read(): Promise<TokensRead> {
    return { tokens: this.#tokens(), commit: () => this.#tokens() };
  }

  close(): void {}

  #tokens(): ClientTokens {
    const digest = createHash('sha256').update(this.#token).digest('hex');
    return parseClientTokens(`run:${digest} for=${this.#purpose}`);
  }
}
