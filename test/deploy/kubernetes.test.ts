import t, { type Test } from 'tap';
import { nothing } from '../helpers/credentials.ts';
import {
  checkAgent,
  checkDeployed,
  configOf,
  type Deployed,
  read,
  startDeployed,
} from '../helpers/deployed.ts';
import { send } from '../helpers/exchange.ts';
import {
  type Container,
  deployedAgent,
  deployedSidecar,
  find,
  type Kustomization,
  type Labels,
  mountedFiles,
  type PodSpec,
  type Policy,
  readKustomization,
} from '../helpers/kubernetes.ts';

const SAME = 'deploy/kubernetes/same-pod';
const OWN = 'deploy/kubernetes/own-pod';
const same = readKustomization(SAME);
const own = readKustomization(OWN);
const samePod = find(same, 'Job', 'agent').spec.template;
const ownPod = find(own, 'Deployment', 'codex-auth-sidecar').spec.template;
const agentPod = find(own, 'Job', 'agent').spec.template;

t.test('in the pod of the agent', (t) => {
  const { sidecar, agent } = containers(samePod.spec);
  const deployed = deployedSidecar(same, samePod.spec, sidecar, SAME);
  checkDeployed(t, deployed);
  checkAgent(t, deployedAgent(same, agent, SAME), deployed);
  checkProbes(t, sidecar, deployed, '/readyz');
  checkSecurity(t, same, samePod.spec);

  t.test('it is a native sidecar', async (t) => {
    t.equal(sidecar.restartPolicy, 'Always');
    t.ok(samePod.spec.initContainers?.includes(sidecar));
    t.equal(samePod.spec.shareProcessNamespace, false);
  });

  t.test('its secrets are in its container alone, and its user is another', async (t) => {
    const names = (container: Container) => container.volumeMounts.map(({ name }) => name);
    t.strictSame(
      names(agent).filter((name) => names(sidecar).includes(name)),
      [],
    );
    t.not(agent.securityContext.runAsUser, sidecar.securityContext.runAsUser);
  });

  t.test('nobody calls the pod; it reaches name servers and public HTTPS', async (t) => {
    const policy: Policy = find(same, 'NetworkPolicy', 'agent-with-sidecar').spec;
    t.ok(selects(policy.podSelector.matchLabels, samePod.metadata.labels));
    t.strictSame(policy.policyTypes, ['Ingress', 'Egress']);
    t.strictSame(policy.ingress, []);
    checkWayOut(t, policy);
  });
  t.end();
});

t.test('in a pod of its own', (t) => {
  const { sidecar } = containers(ownPod.spec);
  const { agent } = containers(agentPod.spec);
  const deployed = deployedSidecar(own, ownPod.spec, sidecar, OWN);
  checkDeployed(t, deployed);
  checkAgent(t, deployedAgent(own, agent, OWN), deployed);
  checkProbes(t, sidecar, deployed, '/livez');
  checkSecurity(t, own, ownPod.spec);
  checkSecurity(t, own, agentPod.spec);

  t.test('the service leads to it', async (t) => {
    const { spec } = find(own, 'Service', 'codex-auth-sidecar');
    t.ok(selects(spec.selector, ownPod.metadata.labels));
    const [port] = spec.ports;
    t.equal(port.port, (await configOf(t, deployed)).listen.port);
    t.ok(sidecar.ports.some(({ name }) => name === port.targetPort));
  });

  t.test('two pods share the login of the database, and one is always there', async (t) => {
    const { spec } = find(own, 'Deployment', 'codex-auth-sidecar');
    t.equal(spec.replicas, 2);
    const rollingUpdate = { maxUnavailable: 0, maxSurge: 1 };
    t.strictSame(spec.strategy, { type: 'RollingUpdate', rollingUpdate });
    t.ok(selects(spec.selector.matchLabels, ownPod.metadata.labels));
    const budget = find(own, 'PodDisruptionBudget', 'codex-auth-sidecar').spec;
    t.equal(budget.minAvailable, 1);
    t.ok(selects(budget.selector.matchLabels, ownPod.metadata.labels));
    const { store } = await configOf(t, deployed);
    t.equal(store.kind, 'postgres');
    t.equal(store.replica, null, 'each is called as its pod');
    const kinds = (ownPod.spec as PodSpec).volumes.map((volume) => Object.keys(volume).sort());
    for (const keys of kinds) t.ok(keys.includes('secret') || keys.includes('configMap'));
    t.equal(ownPod.spec.securityContext.fsGroup, ownPod.spec.securityContext.runAsUser);
  });

  t.test('the certificate is from a secret, which is read again without new pods', async (t) => {
    const { listen } = await configOf(t, deployed);
    const volume = (ownPod.spec as PodSpec).volumes.find(({ name }) => name === 'tls');
    const name = volume?.secret?.secretName ?? '';
    t.strictSame(Object.keys(own.secrets[name] ?? {}), ['tls.crt', 'tls.key']);
    const mount = sidecar.volumeMounts.find((one) => one.name === 'tls');
    t.equal(listen.tls.certFile, `${mount?.mountPath}/tls.crt`);
    t.equal(listen.tls.keyFile, `${mount?.mountPath}/tls.key`);
    const text = read(`${OWN}/kustomization.yaml`);
    t.match(text, new RegExp(`name: ${name}[^]*?disableNameSuffixHash: true`));
    const trusted = agent.env.find((one) => one.name === 'CODEX_CA_CERTIFICATE')?.value;
    t.ok(mountedFiles(own, agentPod.spec, agent).includes(trusted ?? ''));
  });

  t.test('agents reach the sidecar and name servers, and nobody reaches them', async (t) => {
    const policy: Policy = find(own, 'NetworkPolicy', 'codex-auth-sidecar-clients').spec;
    t.ok(selects(policy.podSelector.matchLabels, agentPod.metadata.labels));
    t.notOk(selects(policy.podSelector.matchLabels, ownPod.metadata.labels));
    t.strictSame(policy.policyTypes, ['Ingress', 'Egress']);
    t.strictSame(policy.ingress, []);
    const [toSidecar, toNames, ...others] = policy.egress;
    t.strictSame(others, []);
    t.ok(selects(toSidecar?.to?.[0]?.podSelector?.matchLabels ?? {}, ownPod.metadata.labels));
    t.strictSame(toSidecar?.ports, [{ protocol: 'TCP', port: sidecar.ports[0]?.containerPort }]);
    t.strictSame(
      toNames?.ports.map(({ port }) => port),
      [53, 53],
    );
  });

  t.test('the sidecar is reached by agents alone', async (t) => {
    const policy: Policy = find(own, 'NetworkPolicy', 'codex-auth-sidecar').spec;
    t.ok(selects(policy.podSelector.matchLabels, ownPod.metadata.labels));
    t.strictSame(policy.policyTypes, ['Ingress', 'Egress']);
    const [rule, ...others] = policy.ingress;
    t.strictSame(others, []);
    t.equal(rule?.from?.length, 1);
    t.ok(selects(rule?.from?.[0]?.podSelector?.matchLabels ?? {}, agentPod.metadata.labels));
    t.strictSame(rule?.ports, [{ protocol: 'TCP', port: sidecar.ports[0]?.containerPort }]);
    const [database] = policy.egress.splice(1, 1);
    t.strictSame(database?.ports, [{ protocol: 'TCP', port: 5432 }]);
    t.equal(database?.to?.length, 1);
    t.ok(database?.to?.[0]?.podSelector?.matchLabels, 'and nothing else on that port');
    checkWayOut(t, policy);
  });
  t.end();
});

function containers(pod: PodSpec): Record<'sidecar' | 'agent', Container> {
  const all = [...(pod.initContainers ?? []), ...pod.containers];
  return Object.fromEntries(all.map((one) => [one.name, one])) as ReturnType<typeof containers>;
}

function selects(selector: Labels, labels: Labels): boolean {
  const pairs = Object.entries(selector);
  return pairs.length > 0 && pairs.every(([name, value]) => labels[name] === value);
}

function checkProbes(t: Test, container: Container, deployed: Deployed, startup: string): void {
  t.test('probes are answered, by the address of the pod and without a token', async (t) => {
    const { startupProbe, livenessProbe, readinessProbe, ports } = container;
    t.equal(startupProbe.httpGet.path, startup);
    t.equal(livenessProbe.httpGet.path, '/livez');
    t.equal(readinessProbe.httpGet.path, '/readyz');
    const { listen } = await configOf(t, deployed);
    const { url, tls } = await startDeployed(t, deployed, nothing);
    const scheme = listen.tls.certFile === null ? undefined : 'HTTPS';
    for (const { httpGet } of [startupProbe, livenessProbe, readinessProbe]) {
      const port = ports.find(({ name }) => name === httpGet.port)?.containerPort;
      t.equal(port, listen.port);
      t.equal(httpGet.scheme, scheme);
      const answer = await send(url + httpGet.path, { tls });
      t.equal(answer.status, httpGet.path === '/livez' ? 200 : 503, 'alive, but without a login');
    }
  });
}

/** The pod security standard "restricted", and what goes beyond it. */
function checkSecurity(t: Test, all: Kustomization, pod: PodSpec): void {
  t.test('the pod is locked down', async (t) => {
    t.match(pod.securityContext, {
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    t.equal(pod.automountServiceAccountToken, false);
    t.equal(pod.enableServiceLinks, false);
    t.not(pod.shareProcessNamespace, true);
    for (const container of [...(pod.initContainers ?? []), ...pod.containers]) {
      const context = { ...pod.securityContext, ...container.securityContext };
      t.match(context, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      t.ok(Number(context.runAsUser) > 0, `${container.name} is not root`);
      checkReferences(t, all, pod, container);
    }
  });
}

function checkReferences(t: Test, all: Kustomization, pod: PodSpec, container: Container): void {
  for (const { valueFrom } of container.env) {
    if (!valueFrom) continue;
    const { name, key } = valueFrom.secretKeyRef;
    t.ok(key in (all.secrets[name] ?? {}), `${name} has ${key}`);
  }
  for (const { name } of container.volumeMounts) {
    const volume = pod.volumes.find((one) => one.name === name);
    if (!volume?.secret && !volume?.configMap) continue;
    const own = { ...container, volumeMounts: [{ name, mountPath: '' }] };
    t.ok(mountedFiles(all, pod, own).length > 0, `${name} is generated`);
  }
}

function checkWayOut(t: Test, policy: Policy): void {
  const [names, world, ...others] = policy.egress;
  t.strictSame(others, []);
  t.strictSame(
    names?.ports.map(({ port }) => port),
    [53, 53],
  );
  t.strictSame(world?.ports, [{ protocol: 'TCP', port: 443 }]);
  for (const { ipBlock } of world?.to ?? []) t.ok(ipBlock?.except.length, `${ipBlock?.cidr}`);
}
