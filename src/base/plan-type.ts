/** From the schema that `codex app-server generate-json-schema` of 0.171.0 writes. */
const PLAN_TYPES = [
  'free',
  'go',
  'plus',
  'pro',
  'prolite',
  'promax',
  'team',
  'self_serve_business_usage_based',
  'self_serve_business_prolite',
  'business',
  'ent26',
  'enterprise_cbp_usage_based',
  'enterprise_cbp_automation',
  'enterprise',
  'edu',
  'edu_plus',
  'edu_pro',
  'sci',
  'sci_plus',
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
