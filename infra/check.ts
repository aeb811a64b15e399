/** `node infra/check.ts`, a part of `npm run check`; with `--format`, it formats instead. */
import { checkBicep, formatBicep } from './check-bicep.ts';
import { findBicep, howToGetBicep } from './find-bicep.ts';

if (process.argv.includes('--help')) {
  console.log(
    'Usage: npm run check            types, lint, format, and that Bicep compiles without a warning\n' +
      '       npm run format:bicep     formats Bicep',
  );
  process.exit(0);
}

const infra = import.meta.dirname;
const bicep = await findBicep();

if (bicep === undefined) {
  const must = process.env.CI === 'true';
  console.error(`${howToGetBicep} ${must ? 'With CI=true it has to be there.' : 'Bicep is not checked.'}`);
  process.exitCode = must ? 1 : 0;
} else if (process.argv.includes('--format')) {
  await formatBicep(bicep, infra);
} else {
  const findings = await checkBicep(bicep, infra);
  for (const finding of findings) {
    console.error(finding);
  }
  if (findings.length > 0) {
    process.exitCode = 1;
  } else {
    console.log('Bicep compiles, without a warning, and is formatted.');
  }
}
