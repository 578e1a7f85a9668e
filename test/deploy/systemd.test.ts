import t from 'tap';
import { resolveConfig } from '../../src/config/resolve.ts';
import { flagsOf, read, variablesRead } from '../helpers/deployed.ts';
import { run } from '../helpers/program.ts';

const NAME = 'codex-auth-sidecar';
const unit = readUnit(`deploy/systemd/${NAME}.service`);
const dropIn = readUnit('deploy/systemd/access-token.conf');
const manifest = JSON.parse(read('package.json'));

/** Every value of every key, sections aside. */
function readUnit(path: string): Map<string, string[]> {
  const values = new Map<string, string[]>();
  for (const [, key = '', value = ''] of read(path).matchAll(/^([A-Za-z]+)=(.*)$/gm)) {
    values.set(key, [...(values.get(key) ?? []), value]);
  }
  return values;
}

function one(key: string): string {
  const values = unit.get(key) ?? [];
  if (values.length !== 1) throw new Error(`${key} stands there ${values.length} times`);
  return values[0] ?? '';
}

const environment = (from: Map<string, string[]>) =>
  new Map((from.get('Environment') ?? []).map((pair) => pair.split('=') as [string, string]));

t.test('it starts the command of the package, in the folder of the README', async (t) => {
  const [program = '', command = '', ...flags] = one('ExecStart').split(' ');
  t.ok(Object.keys(manifest.bin).includes(program.split('/').at(-1) ?? ''));
  const prefix = program.slice(0, program.indexOf('/bin/'));
  t.match(read('deploy/README.md'), `npm install -g --prefix ${prefix} `);
  t.equal(one('Documentation'), `file://${prefix}/lib/node_modules/${manifest.name}/README.md`);
  const known = await flagsOf(t, command);
  for (const flag of flags) t.ok(known.includes(flag), flag);
});

t.test('every variable is one that the program reads', async (t) => {
  const known = await variablesRead();
  const commented = read(`deploy/systemd/${NAME}.service`).match(/(?<=^# Environment=)\w+/gm) ?? [];
  const names = [...environment(unit).keys(), ...environment(dropIn).keys(), ...commented];
  for (const name of names) t.ok(known.has(name), name);
});

t.test(
  'login and client tokens are in the state folder, which only the user can enter',
  async (t) => {
    const folder = `%S/${one('StateDirectory')}`;
    const variables = environment(unit);
    t.equal(variables.get('CODEX_HOME'), folder);
    t.equal(variables.get('SIDECAR_CLIENT_TOKENS_FILE'), `${folder}/client-tokens`);
    t.equal(one('StateDirectoryMode'), '0700');
    t.equal(one('UMask'), '0077');
    t.match(read('deploy/README.md'), `/client-tokens /var/lib/${one('StateDirectory')}/`);
  },
);

t.test('the user is the one that sysusers makes', async (t) => {
  const [, user, , home] =
    /^u (\S+) - ("[^"]*") (\S+)$/m.exec(read('deploy/systemd/sysusers.conf')) ?? [];
  t.equal(one('User'), user);
  t.equal(one('Group'), user);
  t.equal(home, `/var/lib/${one('StateDirectory')}`);
});

t.test('the drop-in hands over a credential under the name that its variable reads', async (t) => {
  const [id] = dropIn.get('LoadCredential')?.[0]?.split(':') ?? [];
  t.ok(id);
  t.strictSame([...environment(dropIn).values()], [`%d/${id}`]);
  t.match([...environment(dropIn).keys()][0], /_FILE$/);
});

t.test('it drains before it is killed', async (t) => {
  t.equal(one('KillSignal'), 'SIGTERM');
  t.equal(one('KillMode'), 'mixed');
  t.ok(Number(one('TimeoutStopSec')) > resolveConfig({}).limits.drainSeconds + 5);
});

t.test('a reload is a SIGHUP', async (t) => {
  t.equal(one('ExecReload'), '/bin/kill -HUP $MAINPID');
});

t.test('a wrong configuration is not tried again', async (t) => {
  t.equal(one('Restart'), 'on-failure');
  const { code } = await run(t, ['serve'], { SIDECAR_PORT: 'none' });
  t.equal(one('RestartPreventExitStatus'), String(code));
});

t.test('it is locked down', async (t) => {
  const yes = `NoNewPrivileges ProtectHome ProtectClock ProtectControlGroups ProtectHostname
    ProtectKernelLogs ProtectKernelModules ProtectKernelTunables PrivateDevices PrivateTmp
    PrivateUsers PrivateIPC RemoveIPC LockPersonality RestrictNamespaces RestrictRealtime
    RestrictSUIDSGID`;
  for (const key of yes.split(/\s+/)) t.equal(one(key), 'yes', key);
  t.equal(one('ProtectSystem'), 'strict');
  t.equal(one('CapabilityBoundingSet'), '');
  t.equal(one('LimitCORE'), '0');
  t.strictSame(unit.get('SystemCallFilter'), ['@system-service', '~@privileged @resources']);
});

t.test('memory may be written and executed, which V8 needs', async (t) => {
  t.equal(unit.get('MemoryDenyWriteExecute'), undefined);
});
