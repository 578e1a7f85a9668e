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

/** A plan that is not in the list is `unknown`, never an error. */
export function normalizePlanType(value: unknown): PlanType {
  return PLAN_TYPES.find((plan) => plan === value) ?? 'unknown';
}
