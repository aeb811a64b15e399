import type { QueueSettings, TopicSettings } from '../../events/messaging-entities.ts';
import { Queue } from './queue.ts';
import { Topic } from './topic.ts';

export type Entity = Queue | Topic;

/** What an AMQP address names. */
export type Target =
  | { readonly kind: 'cbs' }
  | { readonly kind: 'management'; readonly entity: Entity }
  | { readonly kind: 'entity'; readonly entity: Entity };

/** All entities, by name. Names are compared without regard to case. */
export class Namespace {
  readonly #entities = new Map<string, Entity>();

  constructor(queues: readonly QueueSettings[], topics: readonly TopicSettings[], now: () => number) {
    for (const settings of queues) {
      this.#addQueue(new Queue(settings, now));
    }
    for (const settings of topics) {
      const topic = new Topic(settings, now);
      this.#entities.set(settings.name.toLowerCase(), topic);
      for (const subscription of topic.subscriptions.values()) {
        this.#addQueue(subscription);
      }
    }
  }

  find(address: string): Target | undefined {
    const path = pathOf(address);
    if (path === '$cbs') {
      return { kind: 'cbs' };
    }
    const suffix = '/$management';
    const isManagement = path.endsWith(suffix);
    const entity = this.#entities.get(isManagement ? path.slice(0, -suffix.length) : path);
    return entity && { kind: isManagement ? 'management' : 'entity', entity };
  }

  /** Queues, subscriptions and dead-letter queues by their path; for a topic, what it keeps itself. */
  queue(path: string): Queue {
    const entity = this.#entities.get(pathOf(path));
    if (entity === undefined) {
      throw new Error(`The Service Bus emulator has no entity '${path}'.`);
    }
    return entity instanceof Topic ? entity.inbox : entity;
  }

  runDeadlines(): void {
    for (const entity of this.#entities.values()) {
      inboxOf(entity).runDeadlines();
    }
  }

  stop(): void {
    for (const entity of this.#entities.values()) {
      inboxOf(entity).stop();
    }
  }

  #addQueue(queue: Queue): void {
    this.#entities.set(queue.policy.name.toLowerCase(), queue);
    if (queue.deadLetters) {
      this.#addQueue(queue.deadLetters);
    }
  }
}

/** Where what is sent to the entity arrives. */
export function inboxOf(entity: Entity): Queue {
  return entity instanceof Topic ? entity.inbox : entity;
}

function pathOf(address: string): string {
  return address
    .replace(/^[a-z]+:\/\/[^/]*\//i, '')
    .replace(/^\/+|\/+$/g, '')
    .toLowerCase();
}
