import { execFile } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';
import { bicep, describeBicep, infra } from '../support/bicep.ts';

interface Parameter {
  readonly type?: string;
  readonly $ref?: string;
  readonly items?: Parameter;
  readonly properties?: Readonly<Record<string, Parameter>>;
  readonly metadata?: { readonly description?: string };
  readonly allowedValues?: readonly unknown[];
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minValue?: number;
  readonly maxValue?: number;
}

describeBicep('The parameters', () => {
  let parameters: Readonly<Record<string, Parameter>>;
  let definitions: Readonly<Record<string, Parameter>>;
  beforeAll(async () => {
    const build = ['build', 'main.bicep', '--stdout'];
    const options = { cwd: infra, maxBuffer: 64 * 1024 * 1024 };
    ({ parameters, definitions } = JSON.parse(
      (await promisify(execFile)(bicep ?? 'bicep', build, options)).stdout,
    ));
  }, 60_000);

  /** What the parameter, or a member of it, lacks. */
  function lacks(name: string, given: Parameter): string[] {
    const named = given.$ref?.replace('#/definitions/', '');
    const parameter = named === undefined ? given : { ...definitions[named], ...given };
    const missing = parameter.metadata?.description ? [] : [`${name}: a description`];
    if (parameter.allowedValues) {
      return missing;
    }
    if (parameter.type === 'string' && parameter.maxLength === undefined) {
      missing.push(`${name}: a longest length`);
    }
    if (parameter.type === 'int' && (parameter.minValue === undefined || parameter.maxValue === undefined)) {
      missing.push(`${name}: a least and a greatest value`);
    }
    if (parameter.type === 'array' && parameter.maxLength === undefined) {
      missing.push(`${name}: a longest length`);
    }
    if (parameter.type === 'array' && !parameter.items) {
      missing.push(`${name}: a type of its items`);
    }
    const members = { ...parameter.properties, ...definitions[itemOf(parameter)]?.properties };
    return [
      ...missing,
      ...Object.entries(members).flatMap(([member, its]) => lacks(`${name}.${member}`, its)),
    ];
  }

  function itemOf({ items }: Parameter): string {
    return items?.$ref?.replace('#/definitions/', '') ?? '';
  }

  it('have a type, a description and limits each, down to the members of their members', () => {
    expect(Object.keys(parameters).length).toBeGreaterThan(20);
    expect(Object.entries(parameters).flatMap(([name, parameter]) => lacks(name, parameter))).toEqual([]);
  });

  it('of modules have a description each', () => {
    for (const file of globSync('modules/*.bicep', { cwd: infra })) {
      for (const [, before] of readFileSync(path.join(infra, file), 'utf8').matchAll(
        /((?:^@.*\n)*)^param /gm,
      )) {
        expect(before, file).toContain('@description(');
      }
    }
  });

  it('switch to an isolated network by one of them, which is off', () => {
    expect(parameters.networkIsolation).toMatchObject({ type: 'bool', defaultValue: false });
    const others = Object.keys(parameters).filter((name) => /isolat|private|publicNetwork|vnet/i.test(name));
    expect(others).toEqual(['networkIsolation']);
  });
});
