import { expect, it } from 'vitest';
import { type Deployment, deployments, describeBicep, ofType, onlyOne } from '../support/bicep.ts';
import { errorsOf, workspaceTables } from '../support/kusto.ts';

interface WorkbookItem {
  readonly content: { readonly query?: string; readonly title?: string };
}

/** Of the alerts and of the workbook, by their names. */
function queriesOf(deployment: Deployment): Record<string, string> {
  const alerts = ofType(deployment, 'Microsoft.Insights/scheduledQueryRules').map(
    ({ name, properties }) => [name, properties.criteria.allOf[0].query] as const,
  );
  const { serializedData } = onlyOne(deployment, 'Microsoft.Insights/workbooks').properties;
  const tiles = (JSON.parse(serializedData).items as WorkbookItem[]).flatMap(({ content }) =>
    content.query === undefined ? [] : [[content.title ?? '', content.query] as const],
  );
  return Object.fromEntries([...alerts, ...tiles]);
}

describeBicep('The queries of alerts and workbook', () => {
  const evaluated = deployments('plain');

  it('are right, by Kusto itself, over the tables as Azure documents them', () => {
    const queries = queriesOf(evaluated.plain);
    expect(Object.keys(queries).length).toBeGreaterThan(15);
    for (const [name, query] of Object.entries(queries)) {
      expect(errorsOf(query, workspaceTables), name).toEqual([]);
    }
  });

  it('do not fail in a new workspace, which has no table yet', () => {
    for (const [name, query] of Object.entries(queriesOf(evaluated.plain))) {
      expect(errorsOf(query, {}), name).toEqual([]);
    }
  });

  it('would be found out if they named a column that is not there, or no language at all', () => {
    expect(errorsOf('AppTraces | where Mesage has "x"', workspaceTables)).not.toEqual([]);
    expect(errorsOf('AppTraces | where Message has "x"', {})).not.toEqual([]);
    expect(errorsOf('AppTraces | where', workspaceTables)).not.toEqual([]);
  });

  it('know requests by the function that OpenTelemetry names, and count those that a sample stands for', () => {
    const onRequests = Object.values(queriesOf(evaluated.plain)).filter((query) =>
      query.includes('AppRequests'),
    );
    expect(onRequests).toHaveLength(2);
    for (const query of onRequests) {
      expect(query).toMatch(/Properties\["faas\.(name|trigger)"\]/);
      expect(query).toContain('sum(ItemCount)');
      expect(query).not.toMatch(/\bcount\(\)|OperationName/);
    }
  });
});
