import { app, type InvocationContext, type Timer, trigger } from '@azure/functions';

/** What the sample app was called with. The tests that load it in their own process read it. */
export const calls = {
  hooks: [] as string[],
  timers: [] as Timer[],
  messages: [] as { body: unknown; metadata: Record<string, unknown> | undefined }[],
  slow: [] as string[],
};
Object.assign(globalThis, { sampleAppCalls: calls });

app.hook.appStart(() => void calls.hooks.push('appStart'));
app.hook.appTerminate(() => void calls.hooks.push('appTerminate'));
app.hook.preInvocation(
  ({ invocationContext }) => void calls.hooks.push(`pre ${invocationContext.functionName}`),
);
app.hook.postInvocation(({ invocationContext, error }) => {
  calls.hooks.push(`post ${invocationContext.functionName} ${error ? 'failed' : 'ok'}`);
});

app.timer('tick', { schedule: '%TICK_SCHEDULE%', handler: async (timer) => void calls.timers.push(timer) });

app.serviceBusQueue('work', {
  connection: 'ServiceBusConnection',
  queueName: '%WORK_QUEUE%',
  handler: async (body: unknown, context: InvocationContext) => {
    calls.messages.push({ body, metadata: context.triggerMetadata });
    if (body === 'poison' || (body as { poison?: boolean } | null)?.poison) {
      throw new Error('poison');
    }
  },
});

app.serviceBusQueue('slow', {
  connection: 'ServiceBusConnection',
  queueName: 'slow',
  handler: async (body: unknown) => {
    calls.slow.push(`began ${body}`);
    await new Promise((resolve) => setTimeout(resolve, 400));
    calls.slow.push(`ended ${body}`);
  },
});

app.generic('binary', {
  trigger: trigger.generic({
    type: 'serviceBusTrigger',
    connection: 'ServiceBusConnection',
    queueName: 'binary',
    dataType: 'binary',
  }),
  handler: async (body: unknown, context: InvocationContext) => {
    calls.messages.push({ body, metadata: context.triggerMetadata });
  },
});

app.serviceBusQueue('stuck', {
  connection: 'ServiceBusConnection',
  queueName: 'stuck',
  handler: async (body: unknown) => {
    calls.slow.push(`stuck ${body}`);
    await new Promise(() => {});
  },
});
