import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isObject } from '../../../src/base/json.ts';
import type { Stage } from './stage.ts';

/** Requests that only look; whatever they need no parameters for is asked. */
const LOOKS = /\/(?:read|list)$/;
/** A request that is not answered by then is given up. */
const PATIENCE_MS = 8_000;

/** The schemas that `codex app-server generate-json-schema` writes, in one document. */
export async function readSchema(stage: Stage): Promise<unknown> {
  const folder = join(stage.home, 'schema');
  const run = await stage.codex(['app-server', 'generate-json-schema', '--out', folder]);
  if (run.code !== 0) throw new Error(`Codex wrote no schema: ${run.stderr}`);
  return JSON.parse(await readFile(join(folder, 'codex_app_server_protocol.schemas.json'), 'utf8'));
}

interface Look {
  method: string;
  params?: object;
}

/** The requests of the app server that only look and need no parameters, by the schema. */
export function looksIn(schema: unknown): Look[] {
  const definitions = field(schema, 'definitions');
  const requests = field(field(definitions, 'ClientRequest'), 'oneOf');
  return (Array.isArray(requests) ? requests : []).flatMap((request) => {
    const [method] = [field(field(field(request, 'properties'), 'method'), 'enum')].flat();
    if (typeof method !== 'string' || !LOOKS.test(method)) return [];
    const params = resolved(schema, field(field(request, 'properties'), 'params'));
    const required = field(params, 'required');
    if (Array.isArray(required) && required.length > 0) return [];
    return [field(params, 'type') === 'null' ? { method } : { method, params: {} }];
  });
}

/** Starts `codex app-server` and asks one thing after the other. */
export async function askAppServer(stage: Stage, looks: readonly Look[]): Promise<void> {
  const left = [...looks.entries()];
  let timer: NodeJS.Timeout | undefined;
  const initialize = {
    id: -1,
    method: 'initialize',
    params: { clientInfo: { name: 'codex-drift', title: null, version: '0' } },
  };
  await stage.codex(['app-server'], {
    onStart: (input) => input.write(line(initialize)),
    onLine: (text, input) => {
      const { id } = JSON.parse(text) as { id?: number };
      if (id === -1) input.write(line({ method: 'initialized' }));
      const next = () => {
        clearTimeout(timer);
        const request = left.shift();
        if (!request) {
          input.end();
          return;
        }
        const [id, look] = request;
        input.write(line({ id, ...look }));
        timer = setTimeout(next, PATIENCE_MS);
      };
      if (typeof id === 'number') next();
    },
  });
  clearTimeout(timer);
}

function line(message: object): string {
  return `${JSON.stringify(message)}\n`;
}

function resolved(schema: unknown, value: unknown): unknown {
  const reference = field(value, '$ref');
  if (typeof reference !== 'string') return value;
  return reference
    .split('/')
    .slice(1)
    .reduce<unknown>((place, name) => field(place, name), schema);
}

function field(value: unknown, name: string): unknown {
  return isObject(value) ? value[name] : undefined;
}
