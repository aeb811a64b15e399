import { NotFoundError } from './errors.ts';

/** What a call answers, or `undefined` where DPS has no such record (404). Other errors are thrown on. */
export async function ifFound<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof NotFoundError) {
      return undefined;
    }
    throw error;
  }
}
