import type { Config } from './config.generated.ts';

/** An address to listen on, and where the configuration has it. */
export interface Place {
  key: 'listen' | 'admin.listen';
  listen: Config['listen'];
}

/** Where clients call. */
export function mainPlace({ listen }: Pick<Config, 'listen'>): Place {
  return { key: 'listen', listen };
}

/** Where only the operator calls; null: at the same address as clients. */
export function adminPlace({ admin }: Pick<Config, 'admin'>): Place | null {
  const { port, socket } = admin.listen;
  if (port === null && socket === null) return null;
  return { key: 'admin.listen', listen: { ...admin.listen, port: port ?? 0 } };
}

export function placesOf(config: Pick<Config, 'listen' | 'admin'>): Place[] {
  const admin = adminPlace(config);
  return [mainPlace(config), ...(admin ? [admin] : [])];
}
