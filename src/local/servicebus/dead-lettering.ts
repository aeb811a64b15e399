import type { DeadLettering, QueuePolicy } from './queue-types.ts';

export const expired: DeadLettering = {
  reason: 'TTLExpiredException',
  description: 'The message expired and was dead lettered.',
};

export function tooManyDeliveries(maxDeliveryCount: number): DeadLettering {
  return {
    reason: 'MaxDeliveryCountExceeded',
    description: `Message could not be consumed after ${maxDeliveryCount} delivery attempts.`,
  };
}

/** What holds for the dead-letter queue of a queue. */
export function deadLetterPolicy(policy: QueuePolicy): QueuePolicy {
  return {
    ...policy,
    name: `${policy.name}/$DeadLetterQueue`,
    maxDeliveryCount: Number.POSITIVE_INFINITY,
    duplicateDetectionWindowInMs: 0,
    defaultTimeToLiveInMs: Number.POSITIVE_INFINITY,
    deadLetteringOnMessageExpiration: false,
  };
}
