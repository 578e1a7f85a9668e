import { inspect } from 'node:util';
import type { Test } from 'tap';
import { SidecarError } from '../../src/base/errors.ts';

/** Asserts that `act` refuses a credential with exactly `message` and shows none of `secrets`. */
export async function refuses(
  t: Test,
  act: () => unknown,
  message: string,
  secrets: string[],
): Promise<void> {
  const error = await thrownBy(act);
  if (!(error instanceof SidecarError)) {
    t.fail('no SidecarError was thrown', { found: error });
    return;
  }
  t.equal(error.code, 'AUTH_CREDENTIAL_INVALID');
  t.equal(error.message, message);
  const everything = inspect(error, { depth: null, showHidden: true });
  for (const secret of secrets) t.notOk(everything.includes(secret), 'the value is not shown');
}

async function thrownBy(act: () => unknown): Promise<unknown> {
  try {
    await act();
    return undefined;
  } catch (error) {
    return error;
  }
}
