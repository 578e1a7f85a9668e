import { invalidCredential } from '../../base/errors.ts';
import { type LoginWay, WAYS } from './ways.ts';

/** What a token is, as far as its text shows that. */
type Form = 'an API key' | 'a personal access token' | 'a JWT' | 'JSON';

type TokenWay = 'agentIdentity' | 'accessToken' | 'apiKey';

/** Which way of signing in takes which form. */
const WAY_OF: Readonly<Record<Form, LoginWay>> = {
  'an API key': 'apiKey',
  'a personal access token': 'accessToken',
  'a JWT': 'accessToken',
  JSON: 'import',
};

const TAKES: Readonly<Record<TokenWay, readonly Form[]>> = {
  agentIdentity: ['a JWT'],
  accessToken: ['a JWT', 'a personal access token'],
  apiKey: ['an API key'],
};

/**
 * Refuses a token that belongs to another way of signing in, before it replaces the credential.
 * @returns what is odd about it all the same; null when nothing is
 * @throws SidecarError AUTH_CREDENTIAL_INVALID
 */
export function checkForm(token: string, way: TokenWay): string | null {
  const form = formOf(token);
  if (form !== null && !TAKES[way].includes(form)) {
    const { flag } = WAYS[WAY_OF[form]];
    throw invalidCredential(
      'standard input',
      `holds ${form}, but ${WAYS[way].flag} takes ${TAKES[way].join(' or ')}; use ${flag}`,
    );
  }
  if (way !== 'apiKey' || form !== null) return null;
  return 'it does not begin with "sk-", as the API keys of OpenAI do';
}

function formOf(token: string): Form | null {
  if (/^[{[]/.test(token)) return 'JSON';
  if (token.startsWith('sk-')) return 'an API key';
  if (token.startsWith('at-')) return 'a personal access token';
  return /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/.test(token) ? 'a JWT' : null;
}
