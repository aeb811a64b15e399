/**
 * One cold start, in a process of its own: imports a built app as the Functions worker does, and invokes one HTTP function.
 * `node cold-start.ts FOLDER [FUNCTION [METHOD BODY]]` prints a ColdStart.
 */
import Module, { registerHooks } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Callback, FunctionMetadata, ProgrammingModel } from '../../src/local/functions/protocol.ts';

/** Milliseconds since before the import. */
interface Moment {
  readonly wall: number;
  readonly cpu: number;
}

export interface ColdStart {
  readonly imported: Moment;
  readonly answered?: Moment;
  readonly status?: string | undefined;
  /** Names of the files of the app that were loaded by the import, and after the invocation. */
  readonly atImport: readonly string[];
  readonly afterwards: readonly string[];
}

const [appDirectory = '', functionName, method = 'GET', body] = process.argv.slice(2);
const functions = new Map<string, { metadata: FunctionMetadata; callback: Callback }>();
let model: ProgrammingModel | undefined;
const core = {
  version: '4',
  hostVersion: '4',
  Disposable: class {},
  registerFunction: (metadata: FunctionMetadata, callback: Callback) =>
    functions.set(metadata.name, { metadata, callback }),
  registerHook() {},
  setProgrammingModel: (announced: ProgrammingModel) => {
    model = announced;
  },
  getProgrammingModel: () => model,
  log() {},
};
const prototype = Module.prototype as unknown as { require(this: Module, id: string): unknown };
const original = prototype.require;
prototype.require = function (id) {
  return id === '@azure/functions-core' ? core : original.call(this, id);
};

const loaded: string[] = [];
const folder = pathToFileURL(path.join(appDirectory, path.sep)).href;
registerHooks({
  load(url, context, next) {
    if (url.startsWith(folder)) {
      loaded.push(url.slice(folder.length));
    }
    return next(url, context);
  },
});

const began = { wall: performance.now(), cpu: process.cpuUsage() };
await import(new URL('main.mjs', folder).href);
const imported = now();
const atImport = [...loaded];
let answer = {};
if (functionName !== undefined) {
  const status = await invoke(functionName);
  answer = { answered: now(), status };
}
console.log(JSON.stringify({ imported, ...answer, atImport, afterwards: loaded } satisfies ColdStart));
process.exit(0);

function now(): Moment {
  const { user, system } = process.cpuUsage(began.cpu);
  return { wall: performance.now() - began.wall, cpu: (user + system) / 1_000 };
}

async function invoke(name: string): Promise<string | undefined> {
  const registered = functions.get(name);
  if (!registered || !model) {
    throw new Error(`There is no function ${name}.`);
  }
  const { metadata, callback } = registered;
  const [trigger = ''] = Object.keys(metadata.bindings);
  const headers = { 'content-type': { value: 'application/cloudevents+json' } };
  const http = {
    method,
    url: 'http://localhost/api/cold-start',
    nullableHeaders: body === undefined ? {} : headers,
    nullableQuery: {},
    nullableParams: {},
    ...(body === undefined ? {} : { body: { bytes: Buffer.from(body) } }),
  };
  const invocation = await model.getInvocationModel({
    invocationId: 'cold',
    request: {
      invocationId: 'cold',
      functionId: name,
      inputData: [{ name: trigger, data: { http } }],
      triggerMetadata: {},
    },
    metadata,
    log() {},
  });
  const { context, inputs } = await invocation.getArguments();
  const result = await invocation.invokeFunction(context, inputs, callback);
  return (await invocation.getResponse(context, result)).returnValue?.http?.statusCode;
}
