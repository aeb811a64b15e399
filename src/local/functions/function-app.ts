import type { Log } from './log.ts';
import type { Binding, FunctionMetadata, ProgrammingModel, RegisteredFunction } from './protocol.ts';

export type HookName = 'appStart' | 'appTerminate' | 'preInvocation' | 'postInvocation' | 'log';
export type Hook = (context: unknown) => unknown;

/** What one app has registered. */
export class FunctionApp {
  readonly functions = new Map<string, RegisteredFunction>();
  readonly hooks: Readonly<Record<HookName, Hook[]>> = {
    appStart: [],
    appTerminate: [],
    preInvocation: [],
    postInvocation: [],
    log: [],
  };
  readonly log: Log;
  model: ProgrammingModel | undefined;

  constructor(log: Log) {
    this.log = log;
  }

  register({ metadata, callback }: RegisteredFunction): void {
    if (this.functions.has(metadata.name)) {
      throw new Error(`A function with the name '${metadata.name}' has already been registered.`);
    }
    refuseWhatIsMissingHere(metadata);
    this.functions.set(metadata.name, { metadata, callback });
  }

  addHook(name: string, hook: Hook): () => void {
    const hooks = this.hooks[name as HookName];
    if (hooks === undefined) {
      throw new RangeError(`Unrecognized hook "${name}"`);
    }
    hooks.push(hook);
    return () => void hooks.splice(hooks.indexOf(hook), 1);
  }

  async runHooks(name: HookName, context: unknown): Promise<void> {
    for (const hook of this.hooks[name]) {
      await hook(context);
    }
  }
}

export function triggerOf({ metadata }: RegisteredFunction): {
  name: string;
  type: string;
  binding: Binding;
} {
  for (const [name, binding] of Object.entries(metadata.bindings)) {
    if (isTrigger(binding)) {
      return { name, type: binding.type.toLowerCase(), binding };
    }
  }
  throw new Error(`The function '${metadata.name}' has no trigger.`);
}

function isTrigger(binding: Binding): boolean {
  return /trigger$/i.test(binding.type);
}

/** Better no start than a function that behaves otherwise here than in Azure. */
function refuseWhatIsMissingHere({ name, bindings, retryOptions }: FunctionMetadata): void {
  if (retryOptions !== undefined) {
    throw new Error(`The local Functions host has no retry policies, but the function '${name}' has one.`);
  }
  for (const binding of Object.values(bindings)) {
    if (isTrigger(binding) || binding.type.toLowerCase() === 'http') {
      continue;
    }
    throw new Error(
      `The local Functions host has no '${binding.type}' bindings, but the function '${name}' has one.`,
    );
  }
}
