/** What can go wrong, and how to tell. */
import {
  AlreadyExistsError,
  DeviceProvisioningClient,
  DeviceProvisioningError,
  type IndividualEnrollment,
  NotFoundError,
  PreconditionFailedError,
  ThrottledError,
  UnavailableError,
} from '@dps-enrollment-pipeline/client';

await using client = DeviceProvisioningClient.fromConnectionString(process.env.DPS_CONNECTION_STRING ?? '', {
  retryOptions: { maxRetries: 3, totalTimeInMs: 30_000 },
  onWait: ({ operation, waitInMs, statusCode }) =>
    console.log(`${operation} waits ${waitInMs} ms after ${statusCode ?? 'no response'}.`),
});

async function attempt(what: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
    console.log(`${what}: done.`);
  } catch (error) {
    if (error instanceof NotFoundError) {
      console.log(`${what}: there is none.`);
    } else if (error instanceof AlreadyExistsError) {
      console.log(`${what}: it exists already.`);
    } else if (error instanceof PreconditionFailedError) {
      console.log(`${what}: somebody was faster; read it again.`);
    } else if (error instanceof ThrottledError || error instanceof UnavailableError) {
      console.log(`${what}: later, perhaps in ${error.retryAfterInMs ?? 60_000} ms.`);
    } else if (error instanceof DeviceProvisioningError) {
      // The message says what to do; Microsoft's support asks for the tracking id.
      console.log(`${what}: ${error.message}`);
    } else {
      throw error;
    }
  }
}

const enrollment: IndividualEnrollment = {
  registrationId: 'sample-errors',
  attestation: { type: 'symmetricKey' },
};
await attempt('Reading', () => client.individualEnrollments.get('sample-errors'));
await attempt('Creating', () => client.individualEnrollments.createOrUpdate(enrollment));
await attempt('Creating again', () => client.individualEnrollments.createOrUpdate(enrollment));
const stale = await client.individualEnrollments.get('sample-errors');
await client.individualEnrollments.createOrUpdate(enrollment, { ifMatch: '*' });
await attempt('Updating', () =>
  client.individualEnrollments.createOrUpdate(stale, { onlyIfUnchanged: true }),
);
await attempt('Nonsense', () => client.individualEnrollments.query('nonsense').next());
await client.individualEnrollments.delete('sample-errors');
