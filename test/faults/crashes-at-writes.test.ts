import { describeCrashes } from '../support/crashes.ts';

// The other half of the kills is in crashes-at-messages.test.ts: two cores share them.
describeCrashes('writes to DPS and the tables', ['dps', 'tables']);
