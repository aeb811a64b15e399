import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const project = path.resolve(import.meta.dirname, '../..');

/** One import, with paths from the project's root. */
export interface Import {
  readonly from: string;
  /** A file of the project, or what the import says where it names a package or a module of Node. */
  readonly to: string;
  readonly isPackage: boolean;
  /** Of types alone: nothing of it is left when the code runs. */
  readonly isOfTypes: boolean;
}

const statement = /^(?:(?:import|export)( type)?\b[^'"`;]*?\bfrom |import )'([^']+)'|\bimport\('([^']+)'\)/gm;

/** All imports of TypeScript files, those of types included: an arrow is an arrow. Samples are written for others. */
export function importsOf(pattern: string): Import[] {
  const files = globSync(pattern, { cwd: project, exclude: (name) => name.endsWith('samples') });
  return files.flatMap((from) =>
    [...readFileSync(path.join(project, from), 'utf8').matchAll(statement)].map(([, type, named, late]) => {
      const target = named ?? late ?? '';
      const isPackage = !target.startsWith('.');
      const to = isPackage ? target : path.posix.join(path.posix.dirname(from), target);
      return { from, to, isPackage, isOfTypes: type !== undefined };
    }),
  );
}

/** The files of the first circle of imports that is found, in order; or nothing. Files may know each other's types. */
export function findCircle(imports: readonly Import[]): string[] | undefined {
  const targets = Map.groupBy(
    imports.filter(({ isPackage, isOfTypes }) => !isPackage && !isOfTypes),
    ({ from }) => from,
  );
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): string[] | undefined => {
    const start = way.indexOf(file);
    if (start >= 0) {
      return [...way.slice(start), file];
    }
    if (done.has(file)) {
      return undefined;
    }
    for (const { to } of targets.get(file) ?? []) {
      const circle = visit(to, [...way, file]);
      if (circle) {
        return circle;
      }
    }
    done.add(file);
    return undefined;
  };
  for (const file of targets.keys()) {
    const circle = visit(file, []);
    if (circle) {
      return circle;
    }
  }
  return undefined;
}
