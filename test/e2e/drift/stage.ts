import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Emulator } from '../../../src/emulator/index.ts';
import { type CodexRun, type CodexRunOptions, runCodex } from '../codex.ts';
import { FactBook } from './facts.ts';
import { makePlace, NO_PLACE, type Place } from './place.ts';
import { addRequestFacts } from './request-facts.ts';

/** Long enough for Codex to send its side requests before a turn ends, and Codex with it. */
const TURN_DELAY_MS = 1_500;
export const RESPONSES = '/backend-api/codex/responses';

/** One released Codex in a place of its own, with a home of its own. */
export class Stage {
  readonly book = new FactBook();
  readonly place: Place;
  readonly home: string;
  /** What each token is called that Codex was given. */
  readonly tokens = new Map<string, string>();
  readonly #program: string;

  private constructor(program: string, place: Place, home: string) {
    this.#program = program;
    this.place = place;
    this.home = home;
  }

  static async open(program: string, address: string): Promise<Stage> {
    const home = await mkdtemp(join(tmpdir(), 'codex-home-'));
    const stage = new Stage(program, await makePlace(address), home);
    // What a client of a sidecar sends has none, and the sidecar is left out here.
    stage.backend.settings.accountHeader = 'optional';
    return stage;
  }

  get backend(): Emulator {
    return this.place.emulator;
  }

  /** Host and port of the sidecar that base URLs name. */
  get sidecarHost(): string {
    return this.place.sidecarHost;
  }

  /** Origin of that sidecar. */
  get url(): string {
    return `http://${this.sidecarHost}`;
  }

  /** Lets turns take long enough for everything else that Codex does meanwhile. */
  slowDown(): void {
    for (const path of [RESPONSES, '/v1/responses']) {
      this.backend.addFault({ path, times: 0, delayMs: TURN_DELAY_MS });
    }
  }

  async configure(toml: string): Promise<void> {
    await writeFile(join(this.home, 'config.toml'), toml);
  }

  async logIn(authJson: object): Promise<void> {
    await writeFile(join(this.home, 'auth.json'), JSON.stringify(authJson), { mode: 0o600 });
  }

  async authJson(): Promise<unknown> {
    return JSON.parse(await readFile(join(this.home, 'auth.json'), 'utf8'));
  }

  /** Runs Codex in its place, as {@link runCodex} does. */
  async codex(args: readonly string[], options: CodexRunOptions = {}): Promise<CodexRun> {
    const command = this.place.within(this.#program, args);
    const env = { ...this.place.env, ...options.env };
    const run = await runCodex(this.home, command, { ...options, env });
    if (run.code === NO_PLACE) throw new Error(`resolv.conf could not be replaced: ${run.stderr}`);
    return run;
  }

  /** Adds every request so far to the book. */
  noteRequests(accountId: string): void {
    const names = { sidecarHost: this.sidecarHost, accountId };
    for (const record of this.backend.records) addRequestFacts(this.book, record, names);
  }

  async close(): Promise<void> {
    await this.place.close();
    await rm(this.home, { recursive: true, force: true, maxRetries: 3 });
  }
}
