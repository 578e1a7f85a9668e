const PLAN_TYPES = [
  'free',
  'go',
  'plus',
  'pro',
  'prolite',
  'team',
  'self_serve_business_usage_based',
  'business',
  'enterprise_cbp_usage_based',
  'enterprise',
  'edu',
  'unknown',
] as const;

/** Plan names of the Codex app-server protocol. */
export type PlanType = (typeof PLAN_TYPES)[number];

/** Other names that tokens use for a plan (`PlanType::from_raw_value` of Codex). */
const ALIASES: ReadonlyMap<string, PlanType> = new Map([
  ['hc', 'enterprise'],
  ['education', 'edu'],
]);

/**
 * Reads a plan name in any letter case, as Codex does. A plan that is not in the list is `unknown`,
 * never an error.
 */
export function normalizePlanType(value: unknown): PlanType {
  if (typeof value !== 'string') return 'unknown';
  const name = value.toLowerCase();
  return ALIASES.get(name) ?? PLAN_TYPES.find((plan) => plan === name) ?? 'unknown';
}
