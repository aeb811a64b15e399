/**
 * Limits of Device Provisioning Service, as its documentation states them (dated 2024-03), and the emulator's own.
 * Rates are enforced only when quotas are switched on.
 */
export const maxBulkItems = 10;
export const maxPageSize = 100;
/** Bytes of a request body ("message size"). */
export const maxBodyBytes = 96 * 1024;
export const operationsPerMinute = 1_000;
export const registrationsPerMinute = 1_000;
export const rateWindowMs = 60_000;
/** Calls of the operation status lookup a device may make in `POLL_WINDOW_MS`. */
export const maxPolls = 5;
export const pollWindowMs = 10_000;
export const maxEnrollments = 1_000_000;
export const maxX509Groups = 100;
export const maxSymmetricKeyGroups = 100;
export const maxRegistrations = 1_000_000;
export const maxCaCertificates = 25;
export const maxLinkedHubs = 50;
export const maxIdLength = 128;
/** Decoded bytes of a symmetric key. */
export const minKeyBytes = 16;
export const maxKeyBytes = 64;
export const generatedKeyBytes = 64;
export const maxAllocationWeight = 1_000;
/** Seconds a device is told to wait before it polls. */
export const retryAfterSeconds = 3;

/** Nesting of a JSON body: the default of Newtonsoft.Json, which the service looks like. */
export const maxJsonDepth = 64;
/** How long a custom allocation webhook may take. */
export const webhookTimeoutMs = 5_000;
export const maxWebhookAnswerBytes = 64 * 1024;
/** Results of registrations kept for status lookups; the oldest go first. */
export const maxRememberedOperations = 100_000;
/** Bytes of a body of the control plane. */
export const maxControlBodyBytes = 4 * 1024 * 1024;

/** Bytes of an MQTT packet: a body of the size above, and room for its topic. */
export const maxPacketBytes = maxBodyBytes + 1024;
/** How long a client may take to send CONNECT. */
export const connectTimeoutMs = 30_000;
/** How long a client may take to close its side of a connection. */
export const closeGraceMs = 2_000;
/** Requests of one MQTT connection that are served at once; a device that sends more is not read from meanwhile. */
export const maxRequestsInFlight = 10;
