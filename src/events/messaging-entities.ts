/**
 * The Service Bus entities of the product: the one place that says what they are called and how they are set.
 * The code reads these names, the local stack makes these entities, and the tests of the evaluated deployment
 * compare the Bicep files with them.
 */

export interface QueueSettings {
  readonly name: string;
  readonly lockDurationInMs: number;
  readonly maxDeliveryCount: number;
  /** 0: no duplicate detection. */
  readonly duplicateDetectionWindowInMs: number;
  readonly defaultTimeToLiveInMs: number;
  readonly deadLetteringOnMessageExpiration: boolean;
}

export interface SubscriptionSettings {
  readonly name: string;
  readonly lockDurationInMs: number;
  readonly maxDeliveryCount: number;
  readonly defaultTimeToLiveInMs: number;
  readonly deadLetteringOnMessageExpiration: boolean;
}

export interface TopicSettings {
  readonly name: string;
  readonly duplicateDetectionWindowInMs: number;
  readonly defaultTimeToLiveInMs: number;
  readonly subscriptions: readonly SubscriptionSettings[];
}

const minute = 60_000;
const day = 24 * 60 * minute;

/** In: manufacturing events. A message that waits longer than a fortnight is a fault that somebody must see. */
export const manufacturingEventsQueue: QueueSettings = {
  name: 'manufacturing-events',
  lockDurationInMs: minute,
  maxDeliveryCount: 10,
  duplicateDetectionWindowInMs: 10 * minute,
  defaultTimeToLiveInMs: 14 * day,
  deadLetteringOnMessageExpiration: true,
};

/** Internal: slices of long work (an audit, a retired batch), each of which puts its successor on the queue. */
export const backgroundWorkQueue: QueueSettings = {
  name: 'background-work',
  lockDurationInMs: minute,
  maxDeliveryCount: 10,
  duplicateDetectionWindowInMs: 10 * minute,
  defaultTimeToLiveInMs: 14 * day,
  deadLetteringOnMessageExpiration: true,
};

/** Out: one CloudEvent a final outcome, and `audit.completed`. Copies have the same MessageId. */
export const enrollmentOutcomesTopic: TopicSettings = {
  name: 'enrollment-outcomes',
  duplicateDetectionWindowInMs: 10 * minute,
  defaultTimeToLiveInMs: 14 * day,
  subscriptions: [
    {
      name: 'all',
      lockDurationInMs: minute,
      maxDeliveryCount: 10,
      defaultTimeToLiveInMs: 14 * day,
      deadLetteringOnMessageExpiration: true,
    },
  ],
};

export const queues: readonly QueueSettings[] = [manufacturingEventsQueue, backgroundWorkQueue];
export const topics: readonly TopicSettings[] = [enrollmentOutcomesTopic];
