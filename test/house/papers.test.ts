import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { project } from './imports.ts';

const papers = [
  ...globSync('*.md', { cwd: project }),
  ...globSync('{src,infra,.github}/**/*.md', { cwd: project }),
];
const read = (file: string) => readFileSync(path.join(project, file), 'utf8');
const { scripts } = JSON.parse(read('package.json'));

/** As GitHub makes them of headings. */
function anchorsOf(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```/gm, '');
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{Letter}\p{Number}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}

function linksOf(markdown: string): string[] {
  const prose = markdown.replaceAll(/^```[\s\S]*?^```/gm, '');
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
}

describe.each(papers)('%s', (paper) => {
  const text = read(paper);

  it('links to files and headings that are there', () => {
    const broken = linksOf(text)
      .filter((link) => !/^https?:/.test(link))
      .filter((link) => {
        const [file = '', anchor] = link.split('#');
        const target = file === '' ? paper : path.join(path.dirname(paper), file);
        const isThere = existsSync(path.join(project, target));
        return !isThere || (anchor !== undefined && !anchorsOf(read(target)).includes(anchor));
      });
    expect(broken).toEqual([]);
  });

  it('names scripts that package.json has', () => {
    const named = [...text.matchAll(/npm run (?:--silent )?([a-z][\w:-]*)/g)].map(([, name = '']) => name);
    expect([...new Set(named)].filter((name) => !(name in scripts))).toEqual([]);
  });

  it('names nothing of the workplace where it was written', () => {
    expect(text).not.toMatch(/\/work\/|\/root\//);
  });
});

describe('The launch configurations', () => {
  it('start files that are there', () => {
    const { configurations } = JSON.parse(read('.vscode/launch.json'));
    expect(configurations.length).toBeGreaterThan(3);
    for (const { name, program } of configurations) {
      const file = String(program).replace(`\${workspaceFolder}/`, '');
      expect(existsSync(path.join(project, file)), `${name}: ${file}`).toBe(true);
    }
  });

  it('belong to tasks whose scripts are there', () => {
    for (const { script } of JSON.parse(read('.vscode/tasks.json')).tasks) {
      expect(script === undefined || script in scripts, script).toBe(true);
    }
  });
});
