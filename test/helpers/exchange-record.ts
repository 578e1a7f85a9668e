import type { RunningSidecar } from '../../src/sidecar/start.ts';
import type { ExchangeRecord } from '../../src/telemetry/exchange-record.ts';

/** A proxied request that went well, but for what is given. */
export function exchangeRecord(change: Partial<ExchangeRecord> = {}): ExchangeRecord {
  return {
    client: null,
    method: 'POST',
    path: '/backend-api/codex/responses',
    kind: 'assertion',
    status: 200,
    upgrade: false,
    startedAt: Date.parse('2026-11-20T21:30:36.250Z'),
    durationMs: 1200,
    firstByteMs: 300,
    upstreamMs: 298,
    bytesUp: 38_000,
    bytesDown: 5_000,
    upstreamRequestId: 'req-1',
    challenged: false,
    code: null,
    outcome: 'complete',
    model: null,
    tokens: null,
    ...change,
  };
}

/** The records of a sidecar, in the order in which their exchanges end. */
export class Records {
  readonly all: ExchangeRecord[] = [];
  #waiting: { count: number; resolve: () => void }[] = [];

  constructor({ exchangeLog }: Pick<RunningSidecar, 'exchangeLog'>) {
    exchangeLog.add((record) => {
      this.all.push(record);
      for (const { count, resolve } of this.#waiting) if (this.all.length >= count) resolve();
    });
  }

  /** The newest record, once there are `count` of them. */
  async nth(count: number): Promise<ExchangeRecord> {
    if (this.all.length < count) {
      await new Promise<void>((resolve) => this.#waiting.push({ count, resolve }));
    }
    return this.all[count - 1] as ExchangeRecord;
  }
}
