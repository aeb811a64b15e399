import { keyOf } from './enrollment-kinds.ts';
import { ServiceError } from './errors.ts';
import { runFault } from './fault-responses.ts';
import { type EmulatorResponse, errorResponse, type ReplyChannel } from './responses.ts';
import type { OperationName, Route } from './routes.ts';
import type { Service } from './service.ts';

/** A request as its transport sees it. */
export interface IncomingRequest {
  /** For the log: what the page for people shows. */
  readonly method: string;
  readonly path: string;
  /** @throws ServiceError */
  findRoute(): Route;
  /** Runs the operation. @throws ServiceError */
  run(route: Route): Promise<EmulatorResponse>;
}

/** Serves a request of either API over any transport: faults, the operation, errors, the log. Never rejects. */
export async function serveRequest(
  service: Service,
  { method, path, findRoute, run }: IncomingRequest,
  reply: ReplyChannel,
): Promise<void> {
  let operation: OperationName | undefined;
  let status: number | 'reset';
  try {
    const route = findRoute();
    operation = route.operation;
    const fault = service.faults.pick(operation);
    if (fault === undefined) {
      const response = await run(route);
      status = response.status;
      reply.send(response);
    } else {
      const runOrError = () => run(route).catch((error) => errorResponse(error, service.timestamp()));
      status = await runFault(fault, runOrError, reply);
    }
  } catch (error) {
    const response = errorResponse(error, service.timestamp());
    status = response.status;
    reply.send(response);
  }
  service.log.add({ at: service.now(), method, path, operation, status });
}

/** Counts a call against its quota. @throws ServiceError `throttled` */
export function takeQuota({ quota }: Service, { operation, id }: Route): void {
  let wait: number | undefined;
  if (operation === 'RuntimeRegistration_RegisterDevice') {
    wait = quota.takeRegistration();
  } else if (operation === 'RuntimeRegistration_OperationStatusLookup') {
    wait = quota.takePoll(keyOf(id));
  } else if (!operation.startsWith('Runtime')) {
    wait = quota.takeOperation();
  }
  if (wait !== undefined) {
    throw new ServiceError('throttled', undefined, { 'Retry-After': String(wait) });
  }
}
