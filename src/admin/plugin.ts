import type { FastifyInstance } from 'fastify';
import { isUsable, type StatusDocument } from './status.ts';

export interface AdminOptions {
  status: () => StatusDocument;
  /**
   * Tries what a failed start left undone. Probes call it, so that a sidecar without traffic mends
   * itself; it never rejects.
   */
  nudge: () => Promise<void>;
  /**
   * Reads configuration and credential again. @returns settings that need a restart
   * @throws SidecarError when the new ones cannot be used; the old ones stay in force then
   */
  reload: () => Promise<string[]>;
}

/** The sidecar's own endpoints. */
export async function adminPlugin(app: FastifyInstance, options: AdminOptions): Promise<void> {
  const page = { access: 'local', own: true, fromOwnPage: true } as const;
  app.get('/auth/status', { config: page }, (_request, reply) => {
    void options.nudge();
    const status = options.status();
    reply
      .code(isUsable(status.status) ? 200 : 503)
      .header('cache-control', 'no-store')
      .send(status);
  });

  app.post('/auth/reload', { config: { access: 'client', own: true } }, async () => {
    const restartNeededFor = await options.reload();
    return { reloaded: true, restartNeededFor };
  });

  app.get('/livez', { config: { access: 'open', own: true } }, (_request, reply) => {
    reply.header('cache-control', 'no-store').send({ status: 'live' });
  });

  app.get('/readyz', { config: { access: 'open', own: true } }, (_request, reply) => {
    void options.nudge();
    const { status } = options.status();
    reply
      .code(isUsable(status) ? 200 : 503)
      .header('cache-control', 'no-store')
      .send({ status });
  });
}
