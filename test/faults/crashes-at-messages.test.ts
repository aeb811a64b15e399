import { describeCrashes } from '../support/crashes.ts';

// The other half of the kills is in crashes-at-writes.test.ts: two cores share them.
describeCrashes('messages that are sent and settled', ['transfer', 'disposition']);
