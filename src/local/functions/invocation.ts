import { randomUUID } from 'node:crypto';
import type { FunctionApp } from './function-app.ts';
import type {
  Callback,
  InvocationRequest,
  InvocationResponse,
  LogLevel,
  RegisteredFunction,
  TypedData,
} from './protocol.ts';

/** A request with one input, as every trigger here has. */
export function requestFor(
  bindingName: string,
  data: TypedData,
  more: Partial<InvocationRequest> = {},
): InvocationRequest {
  return {
    invocationId: randomUUID(),
    inputData: [{ name: bindingName, data }],
    triggerMetadata: {},
    ...more,
  };
}

/** Runs one invocation, hooks included. What the function throws is thrown on. */
export async function invoke(
  app: FunctionApp,
  registered: RegisteredFunction,
  request: InvocationRequest,
): Promise<InvocationResponse> {
  if (app.model === undefined) {
    throw new Error('The app does not use @azure/functions.');
  }
  const { metadata } = registered;
  let invocationContext: unknown;
  const model = await app.model.getInvocationModel({
    invocationId: request.invocationId,
    request: { ...request, functionId: metadata.functionId ?? metadata.name },
    metadata,
    log: (level: LogLevel, kind: string, message: string) =>
      logThroughHooks(app, { level, kind, message, invocationContext }, registered, request.invocationId),
  });
  const { context, inputs } = await model.getArguments();
  invocationContext = context;

  const hookData = {};
  const before = {
    hookData,
    appHookData: {},
    invocationContext,
    inputs,
    functionCallback: registered.callback,
  };
  await app.runHooks('preInvocation', before);
  const outcome = await attempt(() => model.invokeFunction(context, before.inputs, before.functionCallback));
  const after = { hookData, appHookData: {}, invocationContext, inputs: before.inputs, ...outcome };
  await app.runHooks('postInvocation', after);
  if (after.error !== null && after.error !== undefined) {
    throw after.error;
  }
  return model.getResponse(context, after.result);
}

async function attempt(call: Callback): Promise<{ result: unknown; error: unknown }> {
  try {
    return { result: await call(), error: null };
  } catch (error) {
    return { result: null, error };
  }
}

interface LogLine {
  level: LogLevel;
  message: string;
  readonly kind: string;
  readonly invocationContext: unknown;
}

/** Hooks may change level and message of what the app itself logs. */
function logThroughHooks(
  app: FunctionApp,
  line: LogLine,
  registered: RegisteredFunction,
  invocationId: string,
): void {
  const seen = { hookData: {}, appHookData: {}, ...line, category: line.kind };
  for (const hook of app.hooks.log) {
    hook(seen);
  }
  const { level, message } = line.kind === 'user' ? seen : line;
  const suffix = line.kind === 'user' ? '.User' : '';
  app.log({ level, category: `Function.${registered.metadata.name}${suffix}`, message, invocationId });
}

/** Notes that an invocation failed: what it was and why, with the stack. */
export function logFailure(app: FunctionApp, { metadata }: RegisteredFunction, error: unknown): void {
  const why = error instanceof Error ? (error.stack ?? error.message) : String(error);
  app.log({
    level: 'error',
    category: `Function.${metadata.name}`,
    message: `Executed '${metadata.name}' (Failed) ${why}`,
  });
}
