/**
 * `@azure/functions-core`: a module that exists only inside a Functions host. `@azure/functions` asks for it by
 * `require`, so that is where it is answered, as the real worker does.
 */
import Module from 'node:module';
import type { FunctionApp, Hook } from './function-app.ts';
import type { Callback, FunctionMetadata, LogLevel, ProgrammingModel } from './protocol.ts';

const moduleName = '@azure/functions-core';
/** The app that is being loaded. One at a time: registrations do not say whose they are. */
let loading: FunctionApp | undefined;
/** `@azure/functions` announces itself when it is evaluated, which is once a process. */
let announced: ProgrammingModel | undefined;

class Disposable {
  readonly #dispose: () => unknown;

  constructor(dispose: () => unknown) {
    this.#dispose = dispose;
  }

  static from(...disposables: readonly { dispose(): unknown }[]): Disposable {
    return new Disposable(() => disposables.map((disposable) => disposable.dispose()));
  }

  dispose(): unknown {
    return this.#dispose();
  }
}

const coreModule = {
  version: '3.13.0-local',
  hostVersion: '4.1040.0-local',
  Disposable,
  registerFunction(metadata: FunctionMetadata, callback: Callback) {
    const app = appBeingLoaded();
    app.register({ metadata, callback });
    return new Disposable(() => app.functions.delete(metadata.name));
  },
  registerHook: (name: string, hook: Hook) => new Disposable(appBeingLoaded().addHook(name, hook)),
  setProgrammingModel(model: ProgrammingModel) {
    announced = model;
    if (loading) {
      loading.model = model;
    }
  },
  getProgrammingModel: () => loading?.model ?? announced,
  log: (level: LogLevel, _kind: string, message: string) =>
    loading?.log({ level, category: 'Host', message }),
};

/** Runs `load`, and gives the app what it registers meanwhile. */
export async function collectRegistrations(app: FunctionApp, load: () => Promise<void>): Promise<void> {
  if (loading) {
    throw new Error('Another function app is being loaded by this process.');
  }
  provideCoreModule();
  loading = app;
  app.model = announced;
  try {
    await load();
  } finally {
    loading = undefined;
  }
}

function appBeingLoaded(): FunctionApp {
  if (loading) {
    return loading;
  }
  throw new Error('A function can only be registered during app startup.');
}

let provided = false;

function provideCoreModule(): void {
  if (provided) {
    return;
  }
  provided = true;
  const prototype = Module.prototype as unknown as { require(this: Module, id: string): unknown };
  const original = prototype.require;
  prototype.require = function (id) {
    return id === moduleName ? coreModule : original.call(this, id);
  };
}
