/**
 * Nobody's event is at fault: DPS throttles, fails, forbids, is full or is down, or Table Storage is. The event is
 * tried again, for as long as it takes.
 */
export class LaterError extends Error {
  override name = 'LaterError';
  /** Not before this time, in milliseconds since 1970, if anybody said. */
  readonly notBefore: number | undefined;
  readonly trackingId: string | undefined;
  /** DPS was not even asked, because it did not answer lately. */
  readonly circuitOpen: boolean;

  constructor(
    message: string,
    details: {
      readonly notBefore?: number | undefined;
      readonly trackingId?: string | undefined;
      readonly circuitOpen?: boolean;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.notBefore = details.notBefore;
    this.trackingId = details.trackingId;
    this.circuitOpen = details.circuitOpen ?? false;
  }
}
