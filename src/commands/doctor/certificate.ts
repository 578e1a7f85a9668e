import { isLoopbackHost } from '../../base/host.ts';
import type { Config } from '../../config/resolve.ts';
import type { Listener, Preflight } from '../../sidecar/preflight.ts';
import { isKeyOpen, type ServerCertificate } from '../../sidecar/tls-files.ts';
import { type Finding, failure, ok, warning } from './finding.ts';

const NAME = 'certificate';
const DAY_MS = 86_400_000;
/** A certificate is due when less than a fifth of its life is left, two weeks at most. */
const DUE = { part: 5, days: 14 };

/** What clients make of the certificates of the listeners; no finding with plain HTTP. */
export async function checkCertificate(
  { clients }: Config,
  { refusals, listener, admin }: Preflight,
  now: number,
): Promise<Finding[]> {
  const refused = refusals.filter(({ about }) => about === NAME);
  const findings = refused.map(({ error }) => failure(NAME, error.message, null));
  for (const one of [listener, admin]) {
    if (one?.tls) findings.push(...(await judge(one.place.listen, one.tls, clients, now)));
  }
  return findings;
}

async function judge(
  listen: Config['listen'],
  { files, read }: NonNullable<Listener['tls']>,
  clients: Config['clients'],
  now: number,
): Promise<Finding[]> {
  const { certificate } = read;
  const findings = [judgeTime(certificate, now)];
  const add = (problem: string, remedy: string | null) =>
    findings.push(warning(NAME, problem, remedy));
  if (certificate.chainProblem !== null) add(certificate.chainProblem, `look at ${files.certFile}`);
  if (await isKeyOpen(files)) {
    add(`${files.keyFile} can be read by every user`, `run: chmod o-r ${files.keyFile}`);
  }
  for (const name of uncalled(certificate, { listen, clients })) {
    add(
      `it is for ${name}, and clients that call it so are refused (AUTH_HOST_NOT_ALLOWED)`,
      'add the name to clients.allowedHosts',
    );
  }
  return findings;
}

function judgeTime(certificate: ServerCertificate, now: number): Finding {
  const { names, issuer, validFrom, expiresAt, chainLength } = certificate;
  const left = expiresAt - now;
  const called = names.map(({ value }) => value).join(', ') || 'nobody';
  const what = `for ${called}, issued by ${issuer}, ${chainLength} in the file`;
  const end = new Date(expiresAt).toISOString();
  if (left <= 0) return failure(NAME, `${what}: it expired at ${end}`, 'renew it');
  if (validFrom > now) {
    const begin = new Date(validFrom).toISOString();
    return failure(NAME, `${what}: it is not valid before ${begin}`, 'check the clock');
  }
  const text = `${what}: ${leftText(left)} left, until ${end}`;
  const due = Math.min((expiresAt - validFrom) / DUE.part, DUE.days * DAY_MS);
  return left < due ? warning(NAME, text, 'renew it') : ok(NAME, text);
}

function leftText(ms: number): string {
  const days = Math.floor(ms / DAY_MS);
  return days > 1 ? `${days} days` : `${Math.floor(ms / 3_600_000)} hours`;
}

/** Names of the certificate that a `Host` header must not hold. */
function uncalled(
  { names }: ServerCertificate,
  { listen, clients }: Pick<Config, 'listen' | 'clients'>,
): string[] {
  const allowed = [listen.host, ...clients.allowedHosts.map((entry) => entry.replace(/:\d+$/, ''))];
  return names
    .filter(({ kind, value }) => kind === 'DNS' && !value.startsWith('*'))
    .map(({ value }) => value.toLowerCase())
    .filter((name) => !isLoopbackHost(name) && !allowed.some((one) => one.toLowerCase() === name));
}
