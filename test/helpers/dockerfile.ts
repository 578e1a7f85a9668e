import { read } from './deployed.ts';

export interface Instruction {
  name: string;
  value: string;
}

/** The instructions of a Dockerfile, continued lines joined, comments left out. */
export function readDockerfile(path: string): Instruction[] {
  const lines = read(path)
    .replaceAll(/^\s*#.*\n/gm, '')
    .replaceAll(/\\\n\s*/g, ' ');
  return [...lines.matchAll(/^([A-Z]+) +(.*)$/gm)].map(([, name = '', value = '']) => ({
    name,
    value,
  }));
}

/** The image as its last stage describes it. */
export interface Image {
  env: Record<string, string>;
  entrypoint: string[];
  command: string[];
  healthcheck: string[];
  user: string;
  port: number;
  runs: string[];
}

export function readImage(path: string): Image {
  const all = readDockerfile(path);
  const stage = all.slice(all.findLastIndex(({ name }) => name === 'FROM') + 1);
  const lastOf = (name: string) => stage.findLast((line) => line.name === name)?.value ?? '';
  const list = (value: string): string[] => JSON.parse(value.slice(value.indexOf('[')));
  const env = stage.filter(({ name }) => name === 'ENV').flatMap(({ value }) => value.split(/\s+/));
  return {
    env: Object.fromEntries(env.map((pair) => pair.split('=') as [string, string])),
    entrypoint: list(lastOf('ENTRYPOINT')),
    command: list(lastOf('CMD')),
    healthcheck: list(lastOf('HEALTHCHECK')),
    user: lastOf('USER'),
    port: Number(lastOf('EXPOSE')),
    runs: stage.filter(({ name }) => name === 'RUN').map(({ value }) => value),
  };
}
