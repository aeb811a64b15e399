import type { DeviceProvisioningError } from './errors.ts';
import type { OperationOptions } from './operation-options.ts';

/** The shape of a success's body. */
export type ResponseShape = 'object' | 'array' | 'bulk result' | 'nothing';

/** What an operation wants sent. Retrying it may repeat it, and the fields say what is then to be done. */
export interface ServiceCall {
  /** As `individualEnrollments.get`; errors and hooks show it. */
  readonly operation: string;
  readonly id?: string;
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE';
  /** With the query string. */
  readonly path: string;
  readonly body?: string;
  readonly ifMatch?: string | undefined;
  /** A query's page. */
  readonly maxItemCount?: number | undefined;
  readonly continuation?: string | undefined;
  /** The caller's. */
  readonly options: OperationOptions;
  /** What a success must look like. */
  readonly answers: ResponseShape;
  /**
   * Asked when an earlier attempt may have been carried out unnoticed and a later one was refused. Resolves
   * to what the call should answer if the refusal only says that the call had succeeded before, else to nothing.
   */
  readonly recogniseRepeatedWrite?: (error: DeviceProvisioningError) => Promise<unknown>;
}

/** What came of it. */
export interface ServiceResponse {
  readonly body: unknown;
  /** Present while a query has more pages. */
  readonly continuation?: string | undefined;
  /** An earlier attempt may have been carried out, too. */
  readonly afterLostResponse: boolean;
}
