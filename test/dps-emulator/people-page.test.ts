import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  derivedKey,
  register,
  startTestEmulator,
  symmetric,
  symmetricGroup,
  type TestEmulator,
} from './harness.ts';

const browser = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]
  .filter((path) => path !== undefined)
  .find(existsSync);
const canRun = browser !== undefined || process.env.CI === 'true';
if (!canRun) {
  console.warn('Skipped in a browser: install Chromium (apt-get install chromium) or set CHROMIUM_PATH.');
}

let emulator: TestEmulator;
beforeAll(async () => {
  emulator = await startTestEmulator();
  const twin = { initialTwin: { tags: { note: '<script>alert(1)</script>' } } };
  const { json } = await emulator.call('PUT', '/enrollments/thermostat-000042', {
    body: symmetric('thermostat-000042', { deviceId: "it's-a-device", ...twin }),
  });
  await emulator.call('PUT', '/enrollments/thermostat-000043', {
    body: symmetric('thermostat-000043', { provisioningStatus: 'disabled' }),
  });
  const group = await emulator.call('PUT', '/enrollmentGroups/2026-W47-L3', {
    body: symmetricGroup('2026-W47-L3'),
  });
  await register(emulator, 'thermostat-000042', { key: json.attestation.symmetricKey.primaryKey });
  for (const id of ['beacon-1', 'beacon-2']) {
    await register(emulator, id, { key: derivedKey(group.json.attestation.symmetricKey.primaryKey, id) });
  }
  await emulator.call('GET', '/enrollments/nobody');
  await emulator.raw('GET', '/enrollments/%3Cimg%20src=x%3E');
});
afterAll(() => emulator.stop());

it('is plain HTML that shows no key', async () => {
  const page = await emulator.control('GET', '');
  expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
  expect(page.text).not.toContain(emulator.policyKey);
  const { json } = await emulator.call('POST', '/enrollments/thermostat-000042/attestationmechanism');
  expect(page.text).not.toContain(json.symmetricKey.primaryKey);
  expect(page.text).not.toMatch(/<script|<img/);
  expect((await emulator.control('GET', '').catch(() => page)).status).toBe(200);
});

it.runIf(canRun)('shows enrollments, groups, registrations and requests in a browser', async () => {
  const chrome = await chromium.launch({
    executablePath: browser ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  try {
    const tab = await chrome.newPage({ viewport: { width: 1100, height: 900 } });
    const problems: string[] = [];
    tab.on('console', (message) => problems.push(message.text()));
    tab.on('pageerror', (error) => problems.push(error.message));
    await tab.goto(`${emulator.endpoint}/_emulator/`);
    const rows = (title: string) =>
      tab.locator('section', { has: tab.getByRole('heading', { name: title }) }).locator('tbody tr');
    expect(await rows('Individual enrollments').count()).toBe(2);
    expect(
      await rows('Individual enrollments').filter({ hasText: 'thermostat-000042' }).textContent(),
    ).toContain('assigned');
    expect(await rows('Enrollment groups').textContent()).toMatch(/2026-W47-L3.*enabled2/);
    expect(await rows('Registrations').count()).toBe(3);
    expect(await rows('Recent requests').filter({ hasText: '/enrollments/%3Cimg%20src=x%3E' }).count()).toBe(
      1,
    );
    expect(problems).toEqual([]);
    if (process.env.SCREENSHOT) {
      await tab.screenshot({ path: process.env.SCREENSHOT, fullPage: true });
    }
  } finally {
    await chrome.close();
  }
});
