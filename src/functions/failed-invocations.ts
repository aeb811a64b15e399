import { app } from '@azure/functions';

import { consoleLog as log } from '../tools/log.ts';

/** What an alert counts: a message that is thrown back to its queue, a timer that failed, an answer of the kind 5xx. */
export function noteFailure(functionName: string, invocationId: string, why: string): void {
  log('error', 'function-failed', { function: functionName, invocation: invocationId, why });
}

app.hook.postInvocation(({ error, invocationContext }) => {
  if (error === null || error === undefined) {
    return;
  }
  const why = error instanceof Error ? error.name : typeof error;
  noteFailure(invocationContext.functionName, invocationContext.invocationId, why);
});
