import t from 'tap';
import { parse } from 'yaml';
import { read, variablesRead } from '../helpers/deployed.ts';

const FOLDER = 'deploy/kubernetes/workload-identity';

interface PodSpec {
  containers: {
    name: string;
    env: { name: string; value: string }[];
    volumeMounts: { name: string; mountPath: string; readOnly: boolean }[];
  }[];
  volumes: {
    name: string;
    projected: { sources: { serviceAccountToken: Record<string, unknown> }[] };
  }[];
}

const patch = parse(read(`${FOLDER}/sidecar.yaml`));
const pod = patch.spec.template.spec as PodSpec;
const [container] = pod.containers;
const [volume] = pod.volumes;

t.test('it changes the pod of own-pod, and only that', async (t) => {
  const component = parse(read(`${FOLDER}/kustomization.yaml`));
  t.equal(component.kind, 'Component');
  t.strictSame(component.patches, [{ path: 'sidecar.yaml' }]);
  const own = read('deploy/kubernetes/own-pod/sidecar.yaml')
    .split(/^---$/m)
    .map((text) => parse(text));
  const deployment = own.find(({ kind }) => kind === patch.kind);
  t.equal(deployment.metadata.name, patch.metadata.name);
  const names = deployment.spec.template.spec.containers.map(({ name }: { name: string }) => name);
  t.ok(names.includes(container?.name));
});

t.test('the program reads the file that the cluster projects', async (t) => {
  const known = await variablesRead();
  for (const { name } of container?.env ?? []) t.ok(known.has(name), name);
  const file = container?.env.find(({ name }) => name === 'OPENAI_IDENTITY_TOKEN_FILE')?.value;
  const [mount] = container?.volumeMounts ?? [];
  const [source] = volume?.projected.sources ?? [];
  t.equal(mount?.name, volume?.name);
  t.equal(mount?.readOnly, true);
  t.equal(file, `${mount?.mountPath}/${source?.serviceAccountToken.path}`);
  t.equal(source?.serviceAccountToken.audience, 'https://auth.openai.com');
});
