import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveDeviceKey } from '../../src/dps/device-key.ts';
import { generateSasToken } from '../../src/dps/sas-token.ts';
import { symmetricKeyProblem } from '../../src/dps/symmetric-keys.ts';

describe("A device's key", () => {
  it('is derived from the group key as in the documentation', () => {
    const groupKey =
      '8isrFI1sGsIlvvFSSFRiMfCNzv21fjbE/+ah/lSh3lF8e2YG1Te7w1KpZhJFFXJrqYKi9yegxkqIChbqOS9Egw==';
    expect(deriveDeviceKey(groupKey, 'sn-007-888-abc-mac-a1-b2-c3-d4-e5-f6')).toBe(
      'Jsm0lyGpjaVYVP2g3FnmnmG9dI/9qU24wNoykUmermc=',
    );
  });
});

describe('A shared access signature', () => {
  it('names resource, expiry and policy, and signs the resource as it stands in it', () => {
    const before = Math.floor(Date.now() / 1000);
    const token = generateSasToken('https://My-DPS.azure-devices-provisioning.net', 'own er', 'a2V5', 60_000);
    const fields = new URLSearchParams(token.replace('SharedAccessSignature ', ''));
    expect([...fields.keys()]).toEqual(['sr', 'sig', 'se', 'skn']);
    expect(fields.get('sr')).toBe('my-dps.azure-devices-provisioning.net');
    expect(fields.get('skn')).toBe('own er');
    const expiry = Number(fields.get('se'));
    expect(expiry - before).toBeGreaterThanOrEqual(60);
    const signature = createHmac('sha256', 'key')
      .update(`${fields.get('sr')}\n${expiry}`)
      .digest('base64');
    expect(fields.get('sig')).toBe(signature);
  });
});

describe('A symmetric key', () => {
  it('is good if it is base64 of 16 to 64 bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 80 }), (bytes) => {
        const problem = symmetricKeyProblem(Buffer.from(bytes).toString('base64'));
        expect(problem === undefined).toBe(bytes.length >= 16 && bytes.length <= 64);
      }),
    );
  });

  it.each([
    'AAAA AAAAAAAAAAAAAAAAAAAAAAAA',
    'AAAAAAAAAAAAAAAAAAAAAAAAA',
    '____________________________',
    'AAAA=AAAAAAAAAAAAAAAAAAAAAAA',
  ])('is not "%s", and the sentence does not repeat it', (key) => {
    expect(symmetricKeyProblem(key)).toMatch(/not base64/);
    expect(symmetricKeyProblem(key)).not.toContain(key);
  });
});
