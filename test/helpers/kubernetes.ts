import { join } from 'node:path';
import { parseAllDocuments, parse as parseYaml } from 'yaml';
import { type Deployed, type DeployedAgent, read } from './deployed.ts';

export interface Probe {
  httpGet: { path: string; port: string; scheme?: string };
}

export interface Container {
  name: string;
  image: string;
  args: string[];
  restartPolicy?: string;
  env: { name: string; value?: string; valueFrom?: { secretKeyRef: SecretKey } }[];
  ports: { name: string; containerPort: number }[];
  startupProbe: Probe;
  livenessProbe: Probe;
  readinessProbe: Probe;
  lifecycle?: { preStop: { sleep: { seconds: number } } };
  securityContext: Record<string, unknown>;
  volumeMounts: { name: string; mountPath: string }[];
}

interface SecretKey {
  name: string;
  key: string;
}

export interface PodSpec {
  initContainers?: Container[];
  containers: Container[];
  volumes: {
    name: string;
    secret?: { secretName: string };
    configMap?: { name: string };
  }[];
  terminationGracePeriodSeconds: number;
  automountServiceAccountToken: boolean;
  enableServiceLinks: boolean;
  shareProcessNamespace?: boolean;
  securityContext: Record<string, unknown>;
}

export type Labels = Record<string, string>;

interface Rule {
  from?: Peer[];
  to?: Peer[];
  ports: { protocol: string; port: number }[];
}

interface Peer {
  podSelector?: { matchLabels: Labels };
  namespaceSelector?: object;
  ipBlock?: { cidr: string; except: string[] };
}

export interface Policy {
  podSelector: { matchLabels: Labels };
  policyTypes: string[];
  ingress: Rule[];
  egress: Rule[];
}

export interface Manifest {
  kind: string;
  metadata: { name: string };
  // biome-ignore lint/suspicious/noExplicitAny: one shape for each kind, read by those who know it.
  spec: any;
}

/** A folder with a kustomization. */
export interface Kustomization {
  manifests: Manifest[];
  /** Keys of each generated object, with the file that a key comes from. */
  secrets: Record<string, Record<string, string>>;
  configMaps: Record<string, Record<string, string>>;
}

export function readKustomization(folder: string): Kustomization {
  const file = parseYaml(read(join(folder, 'kustomization.yaml')));
  return {
    manifests: (file.resources as string[]).flatMap((name) =>
      parseAllDocuments(read(join(folder, name)), { merge: true }).map((document) => {
        if (document.errors[0]) throw document.errors[0];
        return document.toJS() as Manifest;
      }),
    ),
    secrets: generated(file.secretGenerator),
    configMaps: generated(file.configMapGenerator),
  };
}

function generated(list: { name: string; files: string[] }[]) {
  return Object.fromEntries(
    list.map(({ name, files }) => [
      name,
      Object.fromEntries(
        files.map((entry) => {
          const [key = '', path = key] = entry.split('=');
          return [key.split('/').at(-1) ?? '', path];
        }),
      ),
    ]),
  );
}

export function find(all: Kustomization, kind: string, name: string): Manifest {
  const found = all.manifests.find((one) => one.kind === kind && one.metadata.name === name);
  if (!found) throw new Error(`no ${kind} ${name}`);
  return found;
}

/** Paths of the files that the generated objects put into a container. */
export function mountedFiles(all: Kustomization, pod: PodSpec, container: Container): string[] {
  return container.volumeMounts.flatMap(({ name, mountPath }) => {
    const volume = pod.volumes.find((one) => one.name === name);
    if (!volume) throw new Error(`no volume ${name}`);
    const secret = volume.secret && all.secrets[volume.secret.secretName];
    const configMap = volume.configMap && all.configMaps[volume.configMap.name];
    return Object.keys(secret ?? configMap ?? {}).map((key) => `${mountPath}/${key}`);
  });
}

/** @param folder where the files of the kustomization are */
export function deployedSidecar(
  all: Kustomization,
  pod: PodSpec,
  container: Container,
  folder: string,
): Deployed {
  const env = Object.fromEntries(container.env.map(({ name, value = '' }) => [name, value]));
  const settings = all.configMaps.sidecar?.['config.json'];
  return {
    args: container.args,
    env,
    config: env.SIDECAR_CONFIG && settings ? JSON.parse(read(join(folder, settings))) : {},
    mounts: mountedFiles(all, pod, container),
    graceSeconds:
      pod.terminationGracePeriodSeconds - (container.lifecycle?.preStop.sleep.seconds ?? 0),
  };
}

export function deployedAgent(
  all: Kustomization,
  container: Container,
  folder: string,
): DeployedAgent {
  const codex = all.configMaps.codex?.['config.toml'] ?? '';
  return { codex: read(join(folder, codex)), env: container.env.map(({ name }) => name) };
}
