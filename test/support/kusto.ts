/** The parser and the checker of Kusto's own query language: the .NET library, as Microsoft compiles it to JavaScript. */
import { createRequire } from 'node:module';

interface List<Item> {
  readonly Count: number;
  getItem(index: number): Item;
}

interface TableSymbol {
  WithName(name: string): TableSymbol;
}

interface Globals {
  WithDatabase(database: unknown): Globals;
}

interface KustoLanguage {
  readonly GlobalState: { readonly Default: Globals };
  readonly KustoCode: {
    ParseAndAnalyze(
      text: string,
      globals: Globals,
    ): { GetDiagnostics(): List<{ readonly Severity: string; readonly Message: string }> };
  };
  readonly Symbols: {
    readonly TableSymbol: { From(columns: string): TableSymbol };
    readonly DatabaseSymbol: {
      readonly $ctor1: new (name: string, tables: readonly TableSymbol[]) => unknown;
    };
  };
}

/** As Azure documents the tables, as far as queries here use them. */
export const workspaceTables: Readonly<Record<string, string>> = {
  AppTraces:
    'TimeGenerated: datetime, Message: string, SeverityLevel: int, OperationName: string, Properties: dynamic, ItemCount: int, _ResourceId: string',
  AppRequests:
    'TimeGenerated: datetime, Name: string, OperationName: string, Url: string, Success: bool, ResultCode: string, DurationMs: real, Properties: dynamic, ItemCount: int, _ResourceId: string',
  AppExceptions:
    'TimeGenerated: datetime, OuterMessage: string, OperationName: string, Properties: dynamic, ItemCount: int, _ResourceId: string',
  AzureDiagnostics:
    'TimeGenerated: datetime, Category: string, OperationName: string, ResultType: string, ResultSignature: string, ResultDescription: string, properties_s: string, _ResourceId: string',
  FunctionAppLogs:
    'TimeGenerated: datetime, Category: string, FunctionName: string, Level: string, Message: string, _ResourceId: string',
};

const require = createRequire(import.meta.url);
let loaded: KustoLanguage | undefined;

function kusto(): KustoLanguage {
  if (loaded === undefined) {
    require('@kusto/language-service-next/bridge.js');
    require('@kusto/language-service-next/Kusto.Language.Bridge.js');
    loaded = (globalThis as unknown as { Kusto: { Language: KustoLanguage } }).Kusto.Language;
  }
  return loaded;
}

/** What is wrong with a query, in a workspace that has these tables. */
export function errorsOf(query: string, tables: Readonly<Record<string, string>>): string[] {
  const { GlobalState, KustoCode, Symbols } = kusto();
  const symbols = Object.entries(tables).map(([name, columns]) =>
    Symbols.TableSymbol.From(`(${columns})`).WithName(name),
  );
  const globals = GlobalState.Default.WithDatabase(new Symbols.DatabaseSymbol.$ctor1('workspace', symbols));
  const diagnostics = KustoCode.ParseAndAnalyze(query, globals).GetDiagnostics();
  const errors: string[] = [];
  for (let index = 0; index < diagnostics.Count; index++) {
    const { Severity, Message } = diagnostics.getItem(index);
    if (Severity === 'Error') {
      errors.push(Message);
    }
  }
  return errors;
}
