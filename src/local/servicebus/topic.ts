import type { SubscriptionSettings, TopicSettings } from '../../events/messaging-entities.ts';
import { Queue } from './queue.ts';

/**
 * A topic is a queue (so duplicate detection, scheduling and expiry are a queue's) whose only consumer copies each
 * message to every subscription.
 */
export class Topic {
  readonly inbox: Queue;
  readonly subscriptions: ReadonlyMap<string, Queue>;

  constructor(settings: TopicSettings, now: () => number) {
    this.inbox = new Queue(
      {
        name: settings.name,
        lockDurationInMs: 0,
        maxDeliveryCount: 1,
        duplicateDetectionWindowInMs: settings.duplicateDetectionWindowInMs,
        defaultTimeToLiveInMs: settings.defaultTimeToLiveInMs,
        deadLetteringOnMessageExpiration: false,
      },
      now,
    );
    this.subscriptions = new Map(
      settings.subscriptions.map((subscription) => [
        subscription.name,
        new Queue(subscriptionPolicy(settings.name, subscription), now),
      ]),
    );
    this.inbox.attach({
      peekLock: false,
      capacity: () => Number.POSITIVE_INFINITY,
      deliver: ({ message }) => {
        for (const queue of this.subscriptions.values()) {
          queue.enqueue(message);
        }
      },
    });
  }
}

function subscriptionPolicy(topic: string, subscription: SubscriptionSettings) {
  return {
    ...subscription,
    name: `${topic}/Subscriptions/${subscription.name}`,
    duplicateDetectionWindowInMs: 0,
  };
}
