import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { deployments, describeBicep, infra, onlyOne } from '../support/bicep.ts';

const project = path.dirname(infra);
const read = (file: string) => readFileSync(path.join(project, file), 'utf8');
const workflows = globSync('.github/workflows/*.yml', { cwd: project });

describe('The workflows', () => {
  it('use official actions only', () => {
    const used = workflows.flatMap((file) =>
      [...read(file).matchAll(/uses: (\S+)/g)].map((match) => match[1]),
    );
    expect(used.length).toBeGreaterThan(5);
    for (const action of used)
      expect(action).toMatch(/^(?:actions|azure)\/[\w-]+@v\d+$|^\.\/\.github\/workflows\//);
  });

  it('check, build and test before anything is deployed, and show what would change before it does', () => {
    expect(read('.github/workflows/verify.yml')).toMatch(
      /npm ci[\s\S]*npm run check[\s\S]*npm run build[\s\S]*npm test/,
    );
    const deploy = read('.github/workflows/deploy.yml');
    expect(deploy).toMatch(/what-if:\n {4}needs: verify\n/);
    expect(deploy).toMatch(/deploy:\n {4}needs: what-if\n[\s\S]*environment: production\n/);
  });

  it('sign in with federated credentials: no secret is named', () => {
    for (const file of workflows)
      expect(read(file)).not.toMatch(/secrets\.|client-secret|creds:|publish-profile/);
    expect(read('.github/workflows/deploy.yml')).toContain('id-token: write');
  });
});

describeBicep('What azd deploys', () => {
  const evaluated = deployments('plain');

  it('goes to the function app, which it finds by a tag', () => {
    const [, service] = /^services:\n {2}(\w+):$/m.exec(read('azure.yaml')) ?? [];
    expect(onlyOne(evaluated.plain, 'Microsoft.Web/sites').tags).toEqual({
      'azd-env-name': 'plain',
      'azd-service-name': service,
    });
  });

  it('is the folder that npm run build fills, and nothing is built in Azure', () => {
    const yaml = read('azure.yaml');
    expect(yaml).toMatch(/^ {4}dist: dist$/m);
    expect(yaml).toMatch(/^ {4}remoteBuild: false$/m);
    // azd takes a .funcignore with node_modules for the wish to build in Azure, and refuses the contradiction.
    expect(read('.funcignore').split('\n')).not.toContain('node_modules/');
  });
});
