import { spawnSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, watch } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { parse } from 'yaml';
import {
  commandsIn,
  LISTENING,
  makeWorkplace,
  shell,
  type Treatment,
} from '../helpers/doc-commands.ts';
import { readKustomization } from '../helpers/kubernetes.ts';

const DOCUMENTS = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync('docs').map((name) => `docs/${name}`),
  ...readdirSync('deploy', { recursive: true, encoding: 'utf8' }).map((name) => `deploy/${name}`),
].filter((name) => name.endsWith('.md'));

// Every command in the documents runs here as it stands, but for these. A new one that cannot run
// fails until it is listed; one that is gone from the documents has to go from here.
const HAS_CURL = spawnSync('curl', ['--version']).status === 0;
const NO_ENGINE = { reason: 'needs a container engine; test/deploy reads what it would start' };
const NO_CLUSTER = { reason: 'needs a cluster; test/deploy reads what it would start' };
const CHANGES = { reason: 'changes the machine' };
const INSTALLED = { reason: 'test/docs/package.test.ts packs and installs the package' };
/** Pages that are read while a sidecar runs. */
const BESIDE_SIDECAR = ['docs/watch.md', 'docs/when-it-fails.md'];
const TREATMENTS = new Map<string, Treatment>([
  ['npm ci && npm test', { reason: 'this is it' }],
  ['npm run codex:drift -- 0.169.0 0.171.0', { reason: 'test/e2e runs Codex' }],
  ['codex-auth-sidecar login --device-auth', { reason: 'signs in with a browser' }],
  ['codex-auth-sidecar run -- codex exec "…"', { reason: 'test/e2e runs Codex' }],
  [
    'codex-auth-sidecar token add agent --for codex --file client-tokens',
    {
      reason: 'who reads it copies the token',
      instead: 'TOKEN=$(codex-auth-sidecar token add agent --for codex --file client-tokens)',
    },
  ],
  [
    'codex-auth-sidecar login --import ~/.codex/auth.json --take',
    { reason: 'needs PostgreSQL; test/store moves a login there' },
  ],
  [
    'printf %s "$TOKEN" | CODEX_HOME=~/.codex codex-auth-sidecar codex-config --write --login --token-file -',
    {
      reason: 'the login that is in that folder is never replaced',
      instead:
        'printf %s "$TOKEN" | CODEX_HOME=~/.codex-without-login codex-auth-sidecar codex-config --write --login --token-file -',
    },
  ],
  ['npm pack', INSTALLED],
  ['npm install -g ./codex-auth-sidecar-*.tgz', INSTALLED],
  [
    'CODEX_HOME=/var/lib/codex-auth-sidecar codex-auth-sidecar login --device-auth',
    {
      reason: 'signs in with a browser',
      instead:
        'CODEX_HOME=/var/lib/codex-auth-sidecar codex-auth-sidecar login --import ~/.codex/auth.json',
    },
  ],
  [
    'CODEX_HOME=/var/lib/codex-auth-sidecar SIDECAR_CLIENT_TOKENS_FILE=client-tokens codex-auth-sidecar serve',
    untilStopped(LISTENING),
  ],
  ['SIDECAR_CLIENT_TOKENS_FILE=client-tokens codex-auth-sidecar serve', untilStopped(LISTENING)],
  [
    'CODEX_HOME=/var/lib/codex-auth-sidecar codex-auth-sidecar login --with-access-token < access-token',
    {
      reason: 'needs a token of an account',
      instead:
        'printf at-example | CODEX_HOME=/var/lib/codex-auth-sidecar codex-auth-sidecar login --with-access-token',
    },
  ],
  [
    'CODEX_HOME=/var/lib/codex-auth-sidecar codex-auth-sidecar login --with-api-key < api-key',
    {
      reason: 'needs a key of an account',
      instead:
        'printf sk-example | CODEX_HOME=/var/lib/codex-auth-sidecar codex-auth-sidecar login --with-api-key',
    },
  ],
  [
    `CODEX_API_KEY="$TOKEN" codex exec --skip-git-repo-check -c 'openai_base_url="http://127.0.0.1:8787/backend-api/codex"' "hi"`,
    { reason: 'test/e2e runs Codex' },
  ],
  [
    'node dist/cli.js emulator --port 9000 --codex-home /tmp/emulated-login',
    untilStopped('responds http://127.0.0.1:9000/__emulator/records'),
  ],
  [
    'CODEX_HOME=/tmp/emulated-login SIDECAR_AGENT_IDENTITY_POLICY=chatgptAuth node dist/cli.js serve --config emulated.json --pretty',
    untilStopped(LISTENING),
  ],
  ['docker build -t codex-auth-sidecar .', NO_ENGINE],
  [
    'docker compose up -d --build sidecar',
    { ...NO_ENGINE, instead: 'codex-auth-sidecar serve', until: LISTENING },
  ],
  ['docker compose run --rm agent codex exec --skip-git-repo-check "say hi"', NO_ENGINE],
  ['docker compose up -d --force-recreate sidecar', NO_ENGINE],
  ['kubectl apply -k kubernetes/own-pod', NO_CLUSTER],
  ['docker compose -f fleet/compose.yaml up -d --build', NO_ENGINE],
  [
    'docker compose -f fleet/compose.yaml exec -T sidecar-1 codex-auth-sidecar login --import /dev/stdin < ~/.codex/auth.json',
    NO_ENGINE,
  ],
  ['docker compose -f fleet/compose.yaml exec -T sidecar-2 codex-auth-sidecar status', NO_ENGINE],
  ['docker compose -f fleet/compose.yaml up -d --no-deps --force-recreate sidecar-1', NO_ENGINE],
  ['docker compose -f fleet/compose.yaml up -d --no-deps --force-recreate sidecar-2', NO_ENGINE],
  [
    'cp database-ca.crt secrets/database-ca.crt',
    {
      reason: 'comes with the database',
      instead: 'cp secrets/ca.crt secrets/database-ca.crt',
    },
  ],
  ['sudo npm install -g --prefix /opt/codex-auth-sidecar ./codex-auth-sidecar-*.tgz', INSTALLED],
  ['sudo systemd-sysusers', CHANGES],
  ['sudo systemctl daemon-reload', CHANGES],
  ['sudo systemctl enable --now codex-auth-sidecar', CHANGES],
]);

function untilStopped(until: string): Treatment {
  return { reason: 'runs until it is stopped', until };
}

for (const document of DOCUMENTS) {
  const commands = commandsIn(document);
  if (commands.length === 0) continue;
  t.test(`the ${commands.length} commands of ${document}`, async (t) => {
    const workplace = await makeWorkplace(t);
    const leftOut = HAS_CURL ? [] : commands.filter((command) => /\bcurl\b/.test(command));
    for (const command of leftOut) t.pass(command, { skip: 'there is no curl' });
    const treatments = new Map(TREATMENTS);
    for (const command of leftOut) treatments.set(command, { reason: 'there is no curl' });
    const { code, last, output } = await workplace.run(document, treatments, {
      besideSidecar: BESIDE_SIDECAR.includes(document),
    });
    t.equal(code, 0, last, { output });
    if (document === 'docs/run-one-agent.md') checkDoctor(t, output);
    if (document === 'deploy/README.md') checkSecrets(t, join(workplace.folder, 'deploy'));
  });
}

t.test('what a command leaves running ends with the test', async (t) => {
  const cleanUps: (() => unknown)[] = [];
  const scope = { teardown: (cleanUp: () => unknown) => void cleanUps.push(cleanUp) };
  const folder = t.testdir({});
  const watcher = watch(folder);
  t.teardown(() => watcher.close());
  const started = once(watcher, 'change');
  const ended = shell(scope, 'sleep 1000 & : > started; wait', folder, {
    PATH: process.env.PATH ?? '',
  });
  await started;
  for (const cleanUp of cleanUps) cleanUp();
  // Its output ends when nobody is left who could write there.
  t.match(await ended, { code: 1 });
});

t.test('no command stands in a block that is not run', async (t) => {
  const program =
    /^ *(?:[A-Z_]+=\S+ )*(?:codex-auth-sidecar|curl|docker|kubectl|node|npm|npx|sudo) /m;
  for (const document of DOCUMENTS) {
    const blocks = readFileSync(document, 'utf8').matchAll(/^ *```(\w*)\n([\s\S]*?)^ *```/gm);
    for (const [, language = '', text = ''] of blocks) {
      if (!['sh', 'bash', 'shell', 'console'].includes(language)) {
        t.notMatch(text, program, `${document}: ${text.trim().split('\n')[0]}`);
      }
    }
  }
});

t.test('whatever is treated apart stands in a document', async (t) => {
  const all = new Set(DOCUMENTS.flatMap(commandsIn));
  for (const command of TREATMENTS.keys()) t.ok(all.has(command), command);
});

/** Who follows the steps is told that the agent and the sidecar belong together. */
function checkDoctor(t: Test, output: string): void {
  t.match(output, /^✓ client tokens +1 in client-tokens$/m);
  t.match(output, /^✓ auth\.json +\S+\/var\/lib\/codex-auth-sidecar\/auth\.json$/m);
  t.match(output, /^✓ listener +the sidecar at \S+ is ready$/m);
  t.match(output, /^✓ codex config +\S+\/home\/\.codex\/config\.toml points at the sidecar /m);
}

function checkedLeaf(deploy: string): boolean {
  const read = (name: string) =>
    new X509Certificate(readFileSync(join(deploy, 'kubernetes/own-pod/secrets', name)));
  const [leaf, authority] = [read('tls.crt'), read('ca.crt')];
  const isIssued = leaf.checkIssued(authority) && leaf.verify(authority.publicKey);
  return isIssued && !leaf.ca && leaf.checkHost('codex-auth-sidecar') !== undefined;
}

/** What the commands made is what Compose, the kustomizations and the sidecar read. */
function checkSecrets(t: Test, deploy: string): void {
  const token = readFileSync(join(deploy, 'secrets/client-token'), 'utf8');
  t.match(token, /^[!-~]+$/, 'it can stand in a header');
  const digest = createHash('sha256').update(token).digest('hex');
  t.equal(readFileSync(join(deploy, 'secrets/client-tokens'), 'utf8'), `agent:${digest}\n`);
  const compose = readFileSync(join(deploy, 'compose.yaml'), 'utf8');
  const { secrets } = parse(compose) as { secrets: Record<string, { file: string }> };
  for (const { file } of Object.values(secrets)) t.ok(existsSync(join(deploy, file)), file);
  const fleet = parse(readFileSync(join(deploy, 'fleet/compose.yaml'), 'utf8'), { merge: true });
  for (const { file } of Object.values<{ file: string }>(fleet.secrets)) {
    t.ok(existsSync(join(deploy, 'fleet', file)), file);
  }
  t.ok(checkedLeaf(deploy), 'the certificate is from the authority, and for the service');
  const folder = join(deploy, 'kubernetes/own-pod');
  for (const files of Object.values(readKustomization(folder).secrets)) {
    for (const file of Object.values(files)) t.ok(existsSync(join(folder, file)), file);
  }
}
