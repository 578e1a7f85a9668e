import { askAppServer, looksIn, readSchema } from './app-server.ts';
import { AT_SIDECAR, CONFIGURATIONS, type Configuration, DEFAULT } from './configurations.ts';
import { prepare } from './prepare.ts';
import { REFUSALS, refuseInference } from './reactions.ts';
import { addSchemaFacts } from './schema-facts.ts';
import * as signIns from './sign-ins.ts';
import type { Stage } from './stage.ts';
import * as turns from './turns.ts';

/** What one Codex does in a place of its own. What it is seen to do goes into the book of the stage. */
export type Scenario = (stage: Stage) => Promise<void>;

const PLACES: ReadonlyMap<string, Configuration> = new Map([
  ['at the sidecar', AT_SIDECAR],
  ['at the default hosts', DEFAULT],
]);

/** By name, so that one can be run alone. */
export const SCENARIOS: ReadonlyMap<string, Scenario> = new Map<string, Scenario>([
  ['schema', schema],
  ...REFUSALS.map((refusal): [string, Scenario] => [
    refusal.name,
    (stage) => refuseInference(stage, refusal),
  ]),
  ...[...CONFIGURATIONS].map(([name, configuration]): [string, Scenario] => [
    `a turn: ${name}`,
    (stage) => turns.turnWithLogin(stage, name, configuration),
  ]),
  ['a turn: CODEX_API_KEY', turns.turnWithKey],
  ['a turn: analytics', (stage) => turns.turnWithoutLogin(stage, true)],
  ['a turn: no analytics', (stage) => turns.turnWithoutLogin(stage, false)],
  ...[...PLACES].flatMap(([where, configuration]): [string, Scenario][] => [
    [`a turn over HTTP ${where}`, (stage) => turns.turnOverHttp(stage, configuration)],
    [`a refresh ${where}`, (stage) => signIns.refresh(stage, configuration)],
    [`compaction ${where}`, (stage) => turns.compaction(stage, configuration)],
    [`app server of a person ${where}`, (stage) => appServer(stage, configuration, 'plus')],
    [`app server of a workspace ${where}`, (stage) => appServer(stage, configuration, 'business')],
  ]),
  ['codex cloud', turns.cloud],
  ['sign-in and sign-out', signIns.signInAndOut],
  ['an identity token', signIns.identityToken],
  ['a personal access token', signIns.personalAccessToken],
  ['a workload identity', signIns.workloadIdentity],
  ...['use_agent_identity', 'runtime_agent_instances'].map((feature): [string, Scenario] => [
    feature,
    (stage) => signIns.registeredIdentity(stage, feature),
  ]),
]);

async function schema(stage: Stage): Promise<void> {
  addSchemaFacts(stage.book, await readSchema(stage));
}

async function appServer(stage: Stage, configuration: Configuration, planType: string) {
  await prepare(stage, configuration, { planType });
  await askAppServer(stage, looksIn(await readSchema(stage)));
}
