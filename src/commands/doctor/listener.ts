import { isUsable, type StatusDocument } from '../../admin/status.ts';
import { VERSION } from '../../base/version.ts';
import { adminPlace, mainPlace } from '../../config/places.ts';
import type { Config } from '../../config/resolve.ts';
import type { ServerCertificate } from '../../sidecar/tls-files.ts';
import { operatorTarget } from '../status/ask.ts';
import { fetchStatus } from '../status/client.ts';
import { type Finding, failure, ok, warning } from './finding.ts';

/**
 * Whether a sidecar responds at the configured address.
 * @param certificate in the file; null with plain HTTP
 */
export async function checkListener(
  config: Config,
  certificate: ServerCertificate | null,
): Promise<Finding[]> {
  const name = 'listener';
  const { key, listen } = adminPlace(config) ?? mainPlace(config);
  if (listen.socket === null && listen.port === 0) {
    const problem = `${key}.port is 0, so every start gets a different port`;
    return [warning(name, problem, `set ${key}.port`)];
  }
  const target = operatorTarget(config);
  const place = 'url' in target ? target.url : target.socket;
  try {
    const status = await fetchStatus(target);
    const shown = status.listener.certificate?.fingerprint ?? null;
    if (shown === (certificate?.fingerprint ?? null)) return [judgeSidecar(status, place)];
    const other = 'the sidecar shows another certificate than the one in the file';
    return [
      judgeSidecar(status, place),
      warning(name, other, 'its log says why it was not taken; or restart it'),
    ];
  } catch (error) {
    const { message } = error as Error;
    if (/\((ECONNREFUSED|ENOENT)\)$/.test(message)) {
      return [warning(name, `no sidecar is running at ${place}`, 'start it with "serve"')];
    }
    return [failure(name, message, 'check the address, and which program listens there')];
  }
}

function judgeSidecar(document: StatusDocument, place: string): Finding {
  const name = 'listener';
  const { status, version, agentIdentity, bearer } = document;
  if (status === 'starting')
    return warning(name, `the sidecar at ${place} is starting`, 'run doctor again in a moment');
  if (!isUsable(status)) {
    const reason = agentIdentity.lastError ?? bearer.lastError ?? 'see its log';
    return failure(name, `the sidecar at ${place} is ${status}: ${reason}`, null);
  }
  if (version === VERSION) return ok(name, `the sidecar at ${place} is ${status}`);
  return warning(
    name,
    `version ${version} runs at ${place}, but this is version ${VERSION}`,
    'restart it',
  );
}
