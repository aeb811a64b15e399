import { InvalidRequestError } from '../../dps/errors.ts';

/** DPS rejects the definition itself. `cause` is what it said. */
export class DpsRejectedError extends Error {
  override name = 'DpsRejectedError';
  override readonly cause: InvalidRequestError;

  constructor(cause: InvalidRequestError) {
    super(cause.message);
    this.cause = cause;
  }
}

/** For writes whose content comes from an event. */
export async function rejectable<T>(writing: Promise<T>): Promise<T> {
  try {
    return await writing;
  } catch (error) {
    if (error instanceof InvalidRequestError) {
      throw new DpsRejectedError(error);
    }
    throw error;
  }
}
