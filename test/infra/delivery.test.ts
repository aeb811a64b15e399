import { globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { deployments, describeBicep, infra, onlyOne } from '../support/bicep.ts';

const project = path.dirname(infra);
const read = (file: string) => readFileSync(path.join(project, file), 'utf8');
const workflows = globSync('.github/workflows/*.yml', { cwd: project });

describe('The workflows', () => {
  it('use official actions only, each pinned by its commit', () => {
    const used = workflows.flatMap((file) =>
      [...read(file).matchAll(/uses: (.+)/g)].map((match) => match[1]),
    );
    expect(used.length).toBeGreaterThan(5);
    for (const action of used) {
      expect(action).toMatch(
        /^(?:actions|azure)\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$|^\.\/\.github\/workflows\//,
      );
    }
  });

  it('check, build and test before anything is deployed, and show what would change before it does', () => {
    expect(read('.github/workflows/verify.yml')).toMatch(
      /npm ci[\s\S]*npm run check[\s\S]*npm run build[\s\S]*npm test/,
    );
    const deploy = read('.github/workflows/deploy.yml');
    expect(deploy).toMatch(/what-if:\n {4}needs: verify\n/);
    expect(deploy).toMatch(/deploy:\n {4}needs: what-if\n[\s\S]*environment: production\n/);
  });

  it('deploy from main alone, and ask what would change with fewer rights than a deployment has', () => {
    const deploy = read('.github/workflows/deploy.yml');
    expect(deploy).toMatch(/what-if:\n {4}needs: verify\n {4}if: github\.ref == 'refs\/heads\/main'\n/);
    expect(deploy).toMatch(/deployment sub what-if [^|]*--validation-level ProviderNoRbac/);
    expect(deploy).toContain('Microsoft.Resources/deployments/validate/action');
  });

  it('sign in with federated credentials: no secret is named', () => {
    for (const file of workflows) {
      expect(read(file)).not.toMatch(/secrets\.|client-secret|creds:|publish-profile/);
    }
    expect(read('.github/workflows/deploy.yml')).toContain('id-token: write');
  });
});

describe('The repository', () => {
  it('takes no settings, secrets and environments of a person along', () => {
    const ignored = read('.gitignore').split('\n');
    expect(ignored).toEqual(expect.arrayContaining(['local.settings.json', '.env', '.azure/']));
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

  it('finds the resource provider registered that an isolated subnet is delegated to', () => {
    const hooks = /\nhooks:\n([\s\S]*?)\nservices:/.exec(read('azure.yaml'))?.[1] ?? '';
    for (const shell of ['posix', 'windows']) {
      expect(hooks).toMatch(
        new RegExp(
          `preprovision:[\\s\\S]*${shell}:\\n[^:]*:[^:]*: az provider register --namespace Microsoft\\.App .*--wait`,
        ),
      );
    }
    expect(read('.github/workflows/deploy.yml')).toMatch(
      /az provider register --namespace Microsoft\.App --wait[\s\S]*az deployment sub create/,
    );
  });

  it('asks for an azd that was looked at', () => {
    expect(read('azure.yaml')).toMatch(/^requiredVersions:\n {2}azd: '>= \d+\.\d+\.\d+'/m);
  });

  it('is the folder that npm run build fills, and nothing is built in Azure', () => {
    const yaml = read('azure.yaml');
    expect(yaml).toMatch(/^ {4}dist: dist$/m);
    expect(yaml).toMatch(/^ {4}remoteBuild: false$/m);
    // azd takes a .funcignore with node_modules for the wish to build in Azure, and refuses the contradiction.
    expect(read('.funcignore').split('\n')).not.toContain('node_modules/');
  });
});
