import {
  AlreadyExistsError,
  InvalidRequestError,
  NotFoundError,
  PreconditionFailedError,
} from '../dps/errors.ts';

/** DPS refuses the definition itself. `cause` is what it said. */
export class RefusedError extends Error {
  override name = 'RefusedError';
  override readonly cause: InvalidRequestError;

  constructor(cause: InvalidRequestError) {
    super(cause.message);
    this.cause = cause;
  }
}

/** Somebody else wrote in the meantime: read again and decide again. */
export async function raced<T>(writing: Promise<T>): Promise<T | 'raced'> {
  try {
    return await writing;
  } catch (error) {
    const lost =
      error instanceof PreconditionFailedError ||
      error instanceof AlreadyExistsError ||
      error instanceof NotFoundError;
    if (lost) return 'raced';
    throw error;
  }
}

export async function refusable<T>(writing: Promise<T>): Promise<T> {
  try {
    return await writing;
  } catch (error) {
    if (error instanceof InvalidRequestError) throw new RefusedError(error);
    throw error;
  }
}
