import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { audit, switchOn } from '../support/audits.ts';
import { describeInBrowser, launch, Window } from '../support/browser.ts';
import { Chain, eventually } from '../support/chain.ts';
import { event, manufactured } from '../support/events.ts';

const paths = ['', '/findings', '/devices', '/batches', '/rejected', '/status'].map(
  (path) => `/fleet${path}`,
);

describeInBrowser('the pages of a fleet', () => {
  let chain: Chain;
  let browser: Browser;
  beforeAll(async () => {
    [chain, browser] = await Promise.all([
      Chain.start({ env: { DPS_OPERATIONS_PER_MINUTE: '1000000' } }),
      launch(),
    ]);
  }, 120_000);
  afterAll(async () => {
    await browser?.close();
    await chain?.close();
  });

  const open = (width: number) =>
    Window.open(browser, { baseURL: chain.url, viewport: { width, height: 900 } });

  /** Without fault, and as wide as the window. */
  async function lookRight(prefix: string): Promise<Map<string, string>> {
    const texts = new Map<string, string>();
    for (const width of [390, 1280]) {
      const window = await open(width);
      for (const path of paths) {
        const response = await window.page.goto(path);
        expect([path, response?.status()]).toEqual([path, 200]);
        expect(await window.isTooWide(), `${path} ${width}`).toBe(false);
        expect(await window.violations(), `${path} ${width}`).toEqual([]);
        const name = path.split('/').at(-1);
        await window.picture(`${prefix}-${name === 'fleet' ? 'overview' : name}-${width}`);
        texts.set(path, await window.page.locator('main').innerText());
      }
      await window.close();
    }
    return texts;
  }

  it('of none say what is to come, and how', async () => {
    const texts = await lookRight('empty');
    expect(texts.get('/fleet')).toContain('No audit yet');
    expect(texts.get('/fleet/devices')).toMatch(/No device/);
    expect(texts.get('/fleet/batches')).toMatch(/No batch/);
    expect(texts.get('/fleet/rejected')).toMatch(/No event|Nothing/);
  });

  it('with nothing wrong say so, without a number that leads nowhere', async () => {
    const app = chain.startInstance();
    await chain.settle(manufactured('thermostat-good', {}, { minutesAgo: 60 }));
    await switchOn(chain, 'thermostat-good');
    await audit(app);
    const texts = await lookRight('well');
    expect(texts.get('/fleet')).toMatch(/Nothing is wrong|No finding is open/);
    expect(texts.get('/fleet/devices')).toContain('thermostat-good');
    expect(texts.get('/fleet')).not.toMatch(/NaN|undefined|Infinity/);
  });

  it('tell what waits, batches too, and try all of it again at once', async () => {
    await chain.control('faults', 'PUT', [{ operation: '*', status: 503 }]);
    const started = event('batch.started', 'batch-waits', { product: 'beacon-b1' }, { minutesAgo: 20 });
    const made = manufactured('thermostat-waits', {}, { minutesAgo: 20 });
    await chain.sendToQueue([started, made]);
    await eventually(async () => {
      const { pending } = await chain.json<{ pending: { devices: string[]; batches: string[] } }>(
        '/api/status',
      );
      return pending.devices.includes('thermostat-waits') && pending.batches.includes('batch-waits');
    }, 'both wait');
    await chain.control('faults', 'PUT', []);
    const window = await open(1280);
    await window.page.goto('/fleet/status');
    expect(await window.page.locator('main').innerText()).toMatch(/batch-waits[\s\S]*thermostat-waits/);
    await window.page.getByRole('button', { name: 'Retry now' }).click();
    await window.page.waitForLoadState();
    await chain.ended([started, made]);
    expect(chain.outcomeOf(started)?.type).toBe('enrollment.succeeded');
    await window.close();
  });

  it('tell in the story of a device who fetched its keys', async () => {
    await chain.startApp({ CREDENTIALS: 'on' });
    const answer = await chain.request('/api/devices/thermostat-good/credentials', { method: 'POST' });
    expect(answer.status).toBe(200);
    const window = await open(1280);
    await window.page.goto('/fleet/devices/thermostat-good');
    const story = await window.page.locator('main').innerText();
    expect(story).toContain('Credentials handed out');
    await window.close();
  });

  it('say, where Table Storage is away, that it is, and when to come again', async () => {
    const account = 'DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=c2VjcmV0';
    const { url } = await chain.startApp({
      TableStorage: `${account};TableEndpoint=http://127.0.0.1:1/devstoreaccount1;`,
    });
    const window = await Window.open(browser, { baseURL: url });
    for (const path of ['/fleet/devices/thermostat-good']) {
      const response = await window.page.goto(path);
      expect([path, response?.status()]).toEqual([path, 503]);
      expect(Number(response?.headers()['retry-after'])).toBeGreaterThan(0);
      expect(await window.page.locator('main').innerText()).toMatch(/Table Storage|cannot be read/);
      expect(await window.violations()).toEqual([]);
    }
    await window.picture('tables-away');
    // The browser itself notes each 503.
    window.complaints.splice(0);
    await window.close();
    await chain.killApp();
  });

  it('are printed without what only a screen can use', async () => {
    const window = await open(1280);
    await window.page.goto('/fleet');
    await window.page.emulateMedia({ media: 'print' });
    expect(await window.page.locator('nav').first().isVisible()).toBe(false);
    expect(await window.page.locator('main h1').first().isVisible()).toBe(true);
    await window.picture('print-overview');
    const pdf = await window.page.pdf({ format: 'A4' });
    expect(pdf.subarray(0, 5).toString()).toBe('%PDF-');
    await window.close();
  });
});
