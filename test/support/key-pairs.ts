import type { SeenRequest } from './proxy.ts';

interface Sent {
  readonly registrationId?: string;
  readonly enrollmentGroupId?: string;
  readonly attestation?: { readonly type: string; readonly symmetricKey?: { readonly primaryKey?: string } };
}

/** Looks through what is sent to DPS for updates that would have made it generate a second pair of keys. */
export class KeyPairs {
  /** Ids of devices and batches. */
  readonly lost: string[] = [];

  see({ method, path, headers, body }: SeenRequest): void {
    if (method === 'PUT' && headers['if-match'] !== undefined) {
      this.#look(JSON.parse(body.toString()));
    }
    if (method === 'POST' && /^\/enrollments\?/.test(path)) {
      const { mode, enrollments } = JSON.parse(body.toString());
      if (mode !== 'create' && mode !== 'delete') {
        for (const each of enrollments as Sent[]) {
          this.#look(each);
        }
      }
    }
  }

  #look({ registrationId, enrollmentGroupId, attestation }: Sent): void {
    const id = registrationId ?? enrollmentGroupId ?? '';
    // What keeps a member of a batch out has keys that nobody uses.
    const isMember = id.startsWith('beacon');
    if (!isMember && attestation?.type === 'symmetricKey' && !attestation.symmetricKey?.primaryKey) {
      this.lost.push(id);
    }
  }
}
