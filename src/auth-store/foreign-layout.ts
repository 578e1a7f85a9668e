import { isObject, type JsonObject, textAt } from '../base/json.ts';

/** A credential file of another tool, and what Codex's layout makes of it. */
export interface ForeignLayout {
  /** Name of the tool. */
  tool: string;
  /** The same login in the layout of Codex; null when tokens are missing. */
  document: JsonObject | null;
}

/** Entries under which other tools keep a login or a key of OpenAI. */
const ENTRIES = [
  { entry: 'openai-codex', tool: 'pi' },
  { entry: 'openai', tool: 'opencode' },
];

/**
 * Recognizes the layouts of opencode, pi and CLIProxyAPI: one entry for each provider with `access`
 * and `refresh`, or the tokens at the top level.
 * @returns null when it is none of them
 */
export function readForeignLayout(raw: JsonObject): ForeignLayout | null {
  for (const { entry, tool } of ENTRIES) {
    const found = raw[entry];
    if (isObject(found) && 'type' in found) return { tool, document: fromEntry(found) };
  }
  if (!('access_token' in raw || 'refresh_token' in raw) || 'tokens' in raw) return null;
  const tool = raw.type === 'codex' ? 'CLIProxyAPI' : 'another tool';
  const document = loginOf({
    access: textAt(raw, 'access_token'),
    refresh: textAt(raw, 'refresh_token'),
    id: textAt(raw, 'id_token'),
    account: textAt(raw, 'account_id'),
  });
  return { tool, document };
}

function fromEntry(entry: JsonObject): JsonObject | null {
  const key = textAt(entry, 'key');
  if (entry.type === 'api')
    return key === null ? null : { auth_mode: 'apikey', OPENAI_API_KEY: key };
  return loginOf({
    access: textAt(entry, 'access'),
    refresh: textAt(entry, 'refresh'),
    id: null,
    account: textAt(entry, 'accountId'),
  });
}

function loginOf(found: Record<'access' | 'refresh' | 'id' | 'account', string | null>) {
  const { access, refresh, id, account } = found;
  if (access === null || refresh === null) return null;
  return {
    auth_mode: 'chatgpt',
    tokens: {
      access_token: access,
      refresh_token: refresh,
      ...(id === null ? {} : { id_token: id }),
      ...(account === null ? {} : { account_id: account }),
    },
  };
}
