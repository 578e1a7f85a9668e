import type { ErrorObject } from 'ajv';
import { nearestName } from '../base/nearest-name.ts';

/** One line that names the key and what the schema refused about it. */
export function describeProblems(problems: ErrorObject[]): string {
  const unknown = problems.find((problem) => problem.keyword === 'additionalProperties');
  if (unknown) return describeUnknownKey(unknown);
  const structural = new Set(['type', 'anyOf']);
  const problem = problems.find((candidate) => !structural.has(candidate.keyword)) ?? problems[0];
  if (!problem) return 'the configuration is not valid';
  const key = keyOf(problem.instancePath) || 'the configuration';
  if (problem.keyword === 'enum') {
    return `${key} must be one of ${(problem.params.allowedValues as unknown[]).join(', ')}`;
  }
  if (problem.keyword === 'pattern') {
    return `${key} is not valid: ${problem.parentSchema?.description ?? problem.message}`;
  }
  if (!structural.has(problem.keyword)) return `${key} ${problem.message ?? 'is not valid'}`;
  const kinds = problems
    .filter((other) => other.instancePath === problem.instancePath && other.keyword === 'type')
    .map((other) => String(other.params.type));
  return `${key} must be ${[...new Set(kinds)].join(' or ')}`;
}

function describeUnknownKey(problem: ErrorObject): string {
  const name = String(problem.params.additionalProperty);
  const parent = keyOf(problem.instancePath);
  const known = Object.keys((problem.parentSchema?.properties as object | undefined) ?? {});
  const near = nearestName(name, known);
  const full = parent ? `${parent}.${name}` : name;
  const hint = near === null ? `known keys: ${known.join(', ')}` : `did you mean "${near}"?`;
  return `unknown key "${full}"; ${hint}`;
}

function keyOf(instancePath: string): string {
  return instancePath.slice(1).replaceAll('/', '.');
}
