import { SidecarError } from '../../src/base/errors.ts';

/** The error that `act` throws or rejects with; fails when there is none, or one of another kind. */
export async function failureOf(act: () => unknown): Promise<SidecarError> {
  try {
    await act();
  } catch (error) {
    if (error instanceof SidecarError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}
