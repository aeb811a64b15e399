export type LogLevel = 'information' | 'warning' | 'error';

/** One line that an operator, a query or an alert can rely on. Fields hold no secrets. */
export type Log = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>) => void;

/** Writes to the console, which the Functions host forwards to Application Insights. */
export const consoleLog: Log = (level, message, fields) => {
  const line = fields ? `${message} ${JSON.stringify(fields)}` : message;
  if (level === 'error') {
    console.error(line);
  } else if (level === 'warning') {
    console.warn(line);
  } else {
    console.info(line);
  }
};
