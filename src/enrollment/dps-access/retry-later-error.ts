/**
 * Nobody's event is at fault: DPS throttles, fails, forbids, is full or is down, or Table Storage is. The event is
 * tried again, for as long as it takes.
 */
export class RetryLaterError extends Error {
  override name = 'RetryLaterError';
  /** Not before this time, in milliseconds since 1970, if DPS said one. */
  readonly notBefore: number | undefined;
  readonly trackingId: string | undefined;
  /**
   * What it waits for is looked after elsewhere and costs DPS nothing to ask for again: the open circuit's probe, the
   * minute's operations, another event. However often it has waited already, it is tried again within a minute.
   */
  readonly soon: boolean;

  constructor(
    message: string,
    details: {
      readonly notBefore?: number | undefined;
      readonly trackingId?: string | undefined;
      readonly soon?: boolean;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.notBefore = details.notBefore;
    this.trackingId = details.trackingId;
    this.soon = details.soon ?? false;
  }
}
