/**
 * Limits of Device Provisioning Service, as its documentation states them (dated 2024-03), and the emulator's own.
 * Rates are enforced only when quotas are switched on.
 */
export const MAX_BULK_ITEMS = 10;
export const MAX_PAGE_SIZE = 100;
/** Bytes of a request body ("message size"). */
export const MAX_BODY_BYTES = 96 * 1024;
export const OPERATIONS_PER_MINUTE = 1_000;
export const REGISTRATIONS_PER_MINUTE = 1_000;
export const RATE_WINDOW_MS = 60_000;
/** Calls of the operation status lookup a device may make in `POLL_WINDOW_MS`. */
export const MAX_POLLS = 5;
export const POLL_WINDOW_MS = 10_000;
export const MAX_ENROLLMENTS = 1_000_000;
export const MAX_X509_GROUPS = 100;
export const MAX_SYMMETRIC_KEY_GROUPS = 100;
export const MAX_REGISTRATIONS = 1_000_000;
export const MAX_CA_CERTIFICATES = 25;
export const MAX_LINKED_HUBS = 50;
export const MAX_ID_LENGTH = 128;
/** Decoded bytes of a symmetric key. */
export const MIN_KEY_BYTES = 16;
export const MAX_KEY_BYTES = 64;
export const GENERATED_KEY_BYTES = 64;
export const MAX_ALLOCATION_WEIGHT = 1_000;
/** Seconds a device is told to wait before it polls. */
export const RETRY_AFTER_SECONDS = 3;

/** Nesting of a JSON body: the default of Newtonsoft.Json, which the service looks like. */
export const MAX_JSON_DEPTH = 64;
/** How long a custom allocation webhook may take. */
export const WEBHOOK_TIMEOUT_MS = 5_000;
export const MAX_WEBHOOK_ANSWER_BYTES = 64 * 1024;
/** Results of registrations kept for status lookups; the oldest go first. */
export const MAX_REMEMBERED_OPERATIONS = 100_000;
/** Bytes of a body of the control plane. */
export const MAX_CONTROL_BODY_BYTES = 4 * 1024 * 1024;

/** Bytes of an MQTT packet: a body of the size above, and room for its topic. */
export const MAX_PACKET_BYTES = MAX_BODY_BYTES + 1024;
/** How long a client may take to send CONNECT. */
export const CONNECT_TIMEOUT_MS = 30_000;
/** How long a client may take to close its side of a connection. */
export const CLOSE_GRACE_MS = 2_000;
/** Requests of one MQTT connection that are served at once; a device that sends more is not read from meanwhile. */
export const MAX_REQUESTS_IN_FLIGHT = 10;
