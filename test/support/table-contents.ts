import { TableClient } from '@azure/data-tables';

import { tableNames } from '../../src/storage/table-names.ts';
import type { Chain } from './chain.ts';

/** All rows of all tables, as JSON: to look for what must not be there. */
export async function contentsOfTables(chain: Chain): Promise<string> {
  const rows: unknown[] = [];
  for (const name of Object.values(tableNames)) {
    const client = TableClient.fromConnectionString(chain.stack.endpoints.tables.connectionString, name, {
      allowInsecureConnection: true,
    });
    try {
      for await (const row of client.listEntities()) {
        rows.push(row);
      }
    } catch (error) {
      if ((error as { statusCode?: number }).statusCode !== 404) {
        throw error;
      }
    }
  }
  return JSON.stringify(rows);
}
