import { Cron } from 'croner';
import { resolveSettings } from './app-settings.ts';
import { type FunctionApp, triggerOf } from './function-app.ts';
import { invoke, logFailure, requestFor } from './invocation.ts';
import type { Listener } from './listener.ts';
import type { RegisteredFunction } from './protocol.ts';

interface ScheduleStatus {
  readonly Last: string;
  readonly Next: string;
  readonly LastUpdated: string;
}

const never = '0001-01-01T00:00:00+00:00';

/** Fires by NCRONTAB, in UTC. Six fields; unlike cron, day of month and day of week must both fit. */
export function startTimer(app: FunctionApp, registered: RegisteredFunction): Listener {
  const { binding } = triggerOf(registered);
  const schedule = resolveSettings(String(binding.schedule));
  let last = never;
  let running: Promise<void> = Promise.resolve();
  const fire = (next: Date | null) => {
    const status = { Last: last, Next: next?.toISOString() ?? never, LastUpdated: last };
    last = new Date().toISOString();
    running = runTimer(app, registered, status);
    return running;
  };
  const cron: Cron = parseSchedule(registered, schedule, () => fire(cron.nextRun()));
  if (binding.runOnStartup === true) {
    void fire(cron.nextRun());
  }
  return {
    async drain() {
      cron.stop();
      await running;
    },
    async close() {},
  };
}

/** One run, as the schedule or an administrator asks for it. */
export async function runTimer(
  app: FunctionApp,
  registered: RegisteredFunction,
  status: ScheduleStatus | null = null,
): Promise<void> {
  const timer = { Schedule: { AdjustForDST: true }, ScheduleStatus: status, IsPastDue: false };
  try {
    await invoke(app, registered, requestFor(triggerOf(registered).name, { json: JSON.stringify(timer) }));
  } catch (error) {
    logFailure(app, registered, error);
  }
}

function parseSchedule(
  { metadata }: RegisteredFunction,
  schedule: string,
  onTime: () => Promise<void>,
): Cron {
  const fields = schedule.trim().split(/\s+/).length;
  const options = { mode: '6-part', timezone: 'UTC', domAndDow: true, protect: true } as const;
  try {
    return new Cron(fields === 5 ? `0 ${schedule}` : schedule, options, onTime);
  } catch (error) {
    throw new Error(
      `The schedule '${schedule}' of '${metadata.name}' is no NCRONTAB: ${(error as Error).message}`,
    );
  }
}
