import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export type Values = Readonly<Record<string, unknown>>;

export type Parameters =
  | { readonly values: Values; readonly problems?: undefined }
  | { readonly problems: readonly string[] };

/**
 * What a parameter file gives, defaults included; or all that the compiler finds wrong with it: it reads the environment,
 * and holds what comes from there against types, lengths and allowed values, too.
 */
export async function readParameters(bicep: string, file: string): Promise<Parameters> {
  const options = { maxBuffer: 64 * 1024 * 1024 };
  try {
    const { stdout } = await run(bicep, ['build-params', file, '--stdout'], options);
    return { values: valuesOf(JSON.parse(stdout)) };
  } catch (error) {
    const { stderr, message } = error as { stderr?: string; message: string };
    const problems = [
      ...(stderr ?? '').matchAll(/^(.*)\((\d+),\d+\) : Error \w+: (.*?)(?: \[https:\S+\])?$/gm),
    ].map(([, source = '', line, what]) => `${path.basename(source)}, line ${line}: ${what}`);
    return {
      problems: problems.length > 0 ? problems : [`${file} does not compile: ${stderr?.trim() || message}`],
    };
  }
}

function valuesOf({
  parametersJson,
  templateJson,
}: {
  parametersJson: string;
  templateJson: string;
}): Values {
  const { parameters } = JSON.parse(templateJson) as {
    parameters: Record<string, { defaultValue?: unknown }>;
  };
  const given = (JSON.parse(parametersJson) as { parameters: Record<string, { value: unknown }> }).parameters;
  return Object.fromEntries(
    Object.entries(parameters).map(([name, { defaultValue }]) => [name, given[name]?.value ?? defaultValue]),
  );
}
