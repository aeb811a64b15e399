/** A link on which a client receives. */
import { tokenToDeliveryTag } from './lock-token.ts';
import type { Queue } from './queue.ts';
import type { Consumer, Settlement, StoredMessage } from './queue-types.ts';
import { rejectAlone } from './rejection.ts';
import { type Delivery, type EventContext, messages, type SendingLink } from './rhea.ts';

const preSettled = 1;

/** Lets messages of the queue flow into the link. Answers what to call when the link is gone. */
export function bindReceivingLink(link: SendingLink, queue: Queue): () => void {
  const flow = new LinkFlow(link, queue);
  answerDrains(link, flow);
  link.on('sender_flow', () => queue.offer());
  link.on('sendable', () => queue.offer());
  link.on('accepted', (context: EventContext) => flow.settle(context.delivery, { as: 'complete' }));
  link.on('released', (context: EventContext) => flow.settle(context.delivery, { as: 'release' }));
  link.on('modified', ({ delivery }: EventContext) => flow.settle(delivery, modificationOf(delivery)));
  link.on('rejected', ({ delivery }: EventContext) => flow.settle(delivery, rejectionOf(delivery)));
  queue.attach(flow);
  return () => queue.detach(flow);
}

class LinkFlow implements Consumer {
  readonly peekLock: boolean;
  readonly #link: SendingLink;
  readonly #queue: Queue;
  readonly #tokens = new WeakMap<Delivery, string>();
  /** rhea counts a transfer when it is written; credit must be counted when it is promised. */
  #sent = 0;

  constructor(link: SendingLink, queue: Queue) {
    this.#link = link;
    this.#queue = queue;
    this.peekLock = link.snd_settle_mode !== preSettled;
  }

  capacity(): number {
    if (!this.#link.is_open()) {
      return 0;
    }
    const { credit, delivery_count: deliveryCount, session } = this.#link;
    return Math.min(credit + deliveryCount - this.#sent, session.outgoing.available());
  }

  deliver(stored: StoredMessage): void {
    this.#sent++;
    const tag = stored.lock ? tokenToDeliveryTag(stored.lock.token) : Buffer.alloc(16);
    const delivery = this.#link.send(this.#queue.encode(stored), tag, 0);
    if (stored.lock) {
      this.#tokens.set(delivery, stored.lock.token);
    } else {
      delivery.settled = true;
    }
  }

  settle(delivery: Delivery, settlement: Settlement): void {
    const token = this.#tokens.get(delivery);
    if (token === undefined) {
      return;
    }
    try {
      this.#queue.settle(token, settlement);
    } catch (error) {
      rejectAlone(this.#link, delivery, error);
      return;
    }
    delivery.update(true, messages.accepted().described());
    delivery.remote_settled = true; // the client settles second: no more will come, and the session's window must move on
  }

  /** The client asks for what is there and takes the rest of its credit back. */
  drainCredit(): void {
    this.#link.delivery_count += this.#link.credit;
    this.#sent += this.#link.credit;
    this.#link.credit = 0;
  }
}

/** rhea leaves a drain unanswered when no credit is left; the client would wait, and then close the link. */
function answerDrains(link: SendingLink, flow: LinkFlow): void {
  link._get_drain = () => {
    if (!link._draining || !link._drained) {
      return false;
    }
    flow.drainCredit();
    return true;
  };
  link.on('sender_draining', () => {
    link.set_drained(true);
    link.connection._register();
  });
}

function modificationOf(delivery: Delivery): Settlement {
  const outcome = delivery.remote_state;
  return {
    as: outcome?.undeliverable_here ? 'defer' : 'abandon',
    properties: outcome?.message_annotations ?? {},
  };
}

function rejectionOf(delivery: Delivery): Settlement {
  const info = delivery.remote_state?.error?.info ?? {};
  const { DeadLetterReason: reason, DeadLetterErrorDescription: description, ...properties } = info;
  return { as: 'deadLetter', reason, description, properties };
}
