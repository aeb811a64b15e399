import { readFile } from 'node:fs/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';

import { describeInBrowser, launch, pictures, Window } from '../support/browser.ts';
import { type Chain, eventually } from '../support/chain.ts';
import { evil, toldFleet } from '../support/told-fleet.ts';

describeInBrowser('the pages of the fleet', () => {
  let chain: Chain;
  let browser: Browser;
  beforeAll(async () => {
    [chain, browser] = await Promise.all([toldFleet(), launch()]);
  }, 240_000);
  afterAll(async () => {
    await browser?.close();
    await chain?.close();
  });

  async function inWindow(
    use: (page: Page, window: Window) => Promise<void>,
    options: Parameters<typeof Window.open>[1] = {},
  ): Promise<void> {
    const window = await Window.open(browser, { baseURL: chain.url, ...options });
    await use(window.page, window);
    await window.close();
  }

  const text = (page: Page, selector: string) => page.locator(selector).first().innerText();

  it('tell quality whether it is worse than a week ago, where, and what is new, back and resolved', async () => {
    await inWindow(async (page, window) => {
      await page.goto('/fleet');
      expect(await text(page, '.say')).toMatch(/^5 findings are open, 1 more than in the audit of /);
      expect(await text(page, '.in-short')).toContain('3 new (1 came back), 2 resolved, 2 still open.');
      expect(await page.locator('.todo h3').first().innerText()).toContain('Registered but unknown: 1');
      await page.getByRole('link', { name: '1 came back', exact: true }).click();
      expect(await page.locator('tbody th').allInnerTexts()).toContain('thermostat-0002');
      await page.goto('/fleet');
      await page.getByLabel('Compared with').selectOption({ index: 1 });
      await page.waitForURL(/since=2/);
      expect(await text(page, '.say')).toContain('findings are open');
      await window.picture('overview-compared');
    });
  });

  it('lead from every number of the overview to exactly the rows that it counts', async () => {
    await inWindow(async (page) => {
      await page.goto('/fleet');
      const links = await page
        .locator('main a[aria-label]')
        .evaluateAll((found) =>
          (found as unknown as { getAttribute(name: string): string }[]).map((each) => [
            each.getAttribute('aria-label'),
            each.getAttribute('href'),
          ]),
        );
      expect(links.length).toBeGreaterThan(30);
      for (const [label = '', href = ''] of links) {
        await page.goto(href);
        const rows = page.locator('table.rows tbody tr, table.findings tbody tr');
        expect(`${await rows.count()} ${href}`, label).toBe(`${Number.parseInt(label, 10)} ${href}`);
      }
    });
  }, 180_000);

  it('give quality a file for each Excel, in which nothing is a formula, and a page to print', async () => {
    await inWindow(async (page, window) => {
      await page.goto('/fleet/devices?finding=never-registered');
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('link', { name: 'CSV with semicolons' }).click(),
      ]);
      const file = await readFile(await download.path(), 'utf8');
      expect(file.charCodeAt(0)).toBe(0xfeff);
      const [header = '', ...rows] = file.slice(1).trim().split('\r\n');
      expect(header.split(';').slice(0, 3)).toEqual(['registrationId', 'deviceId', 'product']);
      expect(rows).toHaveLength(1);
      expect(rows[0]).toContain('thermostat-0091');
      await page.goto('/fleet');
      await page.emulateMedia({ media: 'print' });
      expect(await page.locator('.nav').isVisible()).toBe(false);
      await window.picture('overview-print');
      await page.pdf({ path: `${pictures}/overview.pdf`, format: 'A4' });
    });
  });

  it('find a device for support by the beginning of its serial number, and say what is the matter and what comes next', async () => {
    await inWindow(async (page, window) => {
      await page.goto('/fleet');
      await page.getByRole('searchbox').first().fill('sn-1001');
      await page.keyboard.press('Enter');
      await page.waitForURL(/\/fleet\/devices\?q=sn-1001/);
      await page.getByRole('link', { name: 'thermostat-0001' }).click();
      await window.picture('device-differs');
      expect(await text(page, '.say')).toBe(
        'DPS holds something else than its events and its profile say: initial twin.',
      );
      expect(await text(page, '.in-short')).toContain('Next: see what differs below.');
      expect(await page.locator('tr.differs').first().innerText()).toContain('"by": "hand"');
      for (const told of ['Manufactured', 'Registered: assigned', 'Found: Enrollment differs', 'Hub:']) {
        expect(await text(page, '.timeline')).toContain(told);
      }
      await page.goto('/fleet/devices/beacon-0001');
      expect(await text(page, 'main')).toContain('It belongs to the enrollment group 2026-W47-B1');
      expect(await text(page, 'main')).toContain('Its devices can register.');
      await page.goto('/fleet/devices/thermostat-0004');
      expect(await text(page, '.say')).toMatch(
        /^It is held by \/factories\/test on .*“relay sticks”; it cannot register\.$/s,
      );
      await window.picture('device-held');
    });
  });

  it('let an operator hold and release with a reason: an event like any other, with her name', async () => {
    await inWindow(async (page) => {
      await page.goto('/fleet/devices/thermostat-0006');
      await page.getByText('Hold this device').click();
      await page.getByLabel('Reason').fill('smells of <b>smoke</b>');
      await page.getByRole('button', { name: 'Hold', exact: true }).click();
      await page.waitForURL(/done=/);
      await eventually(async () => {
        await page.goto('/fleet/devices/thermostat-0006');
        return (await text(page, '.say')).includes('“smells of <b>smoke</b>”');
      }, 'it is held');
      expect((await chain.dps.individualEnrollments.get('thermostat-0006')).provisioningStatus).toBe(
        'disabled',
      );
      expect(await text(page, '.timeline')).toContain('/people/mara.quill%40contoso.com');
      await page.goto('/fleet/devices?held=true');
      expect(await text(page, 'table.rows')).toContain('thermostat-0006');
      await page.goto('/fleet/devices/thermostat-0006');
      await page.getByText('Release this device').click();
      await page.getByRole('button', { name: 'Release', exact: true }).click();
      await eventually(async () => {
        await page.goto('/fleet/devices/thermostat-0006');
        return !(await text(page, '.say')).includes('held');
      }, 'it is released');
      expect((await chain.dps.individualEnrollments.get('thermostat-0006')).provisioningStatus).toBe(
        'enabled',
      );
    });
  });

  it('let an operator read a rejected event, mend it and send a corrected copy, and replay others', async () => {
    await inWindow(async (page, window) => {
      await page.goto('/fleet/rejected');
      expect(await text(page, 'main')).toContain('2 rejected events in the last 24 hours');
      await window.picture('rejected');
      await page.getByRole('link', { name: 'toaster-0001' }).click();
      expect(await page.locator('mark').innerText()).toContain('"product": "toaster-x"');
      const copy = page.getByLabel('The event, as JSON');
      await copy.fill('{ no JSON');
      await page.getByRole('button', { name: 'Send the copy' }).click();
      expect(await text(page, '.notice')).toContain('It is not JSON');
      expect(await copy.inputValue()).toBe('{ no JSON');
      await window.picture('rejected-mistake');
      window.complaints.splice(0); // the browser says that a page was a 400
      await page.goBack();
      await copy.fill(
        (await page.locator('pre').innerText())
          .replace('toaster-x', 'thermostat-g2')
          .replaceAll('toaster-0001', 'thermostat-0777'),
      );
      await page.getByRole('button', { name: 'Send the copy' }).click();
      await page.waitForURL(/done=/);
      await eventually(
        async () => (await chain.request('/api/devices/thermostat-0777')).status === 200,
        'the copy is a device',
      );
      await page.goto('/fleet/rejected');
      await page.getByRole('checkbox').first().check();
      await page.getByRole('button', { name: 'Replay the chosen ones' }).click();
      expect(await text(page, '.notice')).toContain('Replayed');
    });
  });

  it('tell an operator at night whether it runs, and start an audit', async () => {
    await inWindow(async (page, window) => {
      await page.goto('/fleet/status');
      for (const name of [
        'Waiting events',
        'Circuit breaker',
        'DPS quota, last minute',
        'Rejected, last day',
        'Audits',
      ]) {
        expect(await text(page, 'main')).toContain(name);
      }
      await window.picture('status');
      await page.getByRole('button', { name: 'Start an audit' }).click();
      expect(await text(page, '.notice')).toMatch(/An audit has started|in progress already/);
    });
  });

  it('are closed to whoever has no role, and let one who may only look do nothing', async () => {
    await inWindow(async (page, window) => {
      await page.goto('/.auth/login/aad?as=guest&post_login_redirect_uri=/fleet');
      expect(await text(page, 'main')).toContain(
        'You are signed in as Ida Lund, without the role Fleet.Read.',
      );
      expect(await text(page, 'main')).toContain('Ask whoever administers this application');
      await window.picture('no-role');
      await page.goto('/.auth/login/aad?as=reader&post_login_redirect_uri=/fleet/devices/thermostat-0001');
      expect(await page.getByText('What you can do').count()).toBe(0);
      window.complaints.splice(0); // the browser says that a page was a 403
    });
    const session = { cookie: 'AppServiceAuthSession=reader' };
    const hold = (headers: Record<string, string>) =>
      fetch(`${chain.url}/fleet/devices/thermostat-0001/hold`, {
        method: 'POST',
        headers,
        body: 'reason=x',
        redirect: 'manual',
      });
    expect((await hold({ ...session, origin: chain.url })).status).toBe(403);
    const operator = { cookie: 'AppServiceAuthSession=operator' };
    for (const foreign of [
      {},
      { origin: 'https://evil.example' },
      { origin: chain.url, 'sec-fetch-site': 'cross-site' },
    ]) {
      const answer = await hold({ ...operator, ...(foreign as Record<string, string>) });
      expect(answer.status).toBe(403);
      expect(await answer.text()).toContain('not sent from a page of this site');
    }
    const forged = Buffer.from(
      JSON.stringify({
        claims: [
          { typ: 'oid', val: 'x' },
          { typ: 'roles', val: 'Fleet.Read' },
        ],
      }),
    );
    const claimed = await fetch(`${chain.url}/fleet`, {
      headers: { 'x-ms-client-principal': forged.toString('base64') },
      redirect: 'manual',
    });
    expect(claimed.status).toBe(302);
    expect(claimed.headers.get('location')).toBe('/.auth/login/aad?post_login_redirect_uri=%2Ffleet');
  });

  it('say of an address that is not right what is wrong with it', async () => {
    const answers = async (path: string) => {
      const response = await fetch(`${chain.url}${path}`, {
        headers: { cookie: 'AppServiceAuthSession=operator' },
      });
      return `${response.status} ${(await response.text()).replace(/<[^>]+>/g, ' ')}`;
    };
    expect(await answers('/fleet/devices?colour=blue')).toMatch(
      /^400 .*There is no filter &quot;colour&quot;/s,
    );
    expect(await answers('/fleet/devices?continuation=x')).toMatch(/^400 .*continuation does not belong/s);
    expect(await answers('/fleet/findings?show=all')).toMatch(/^400 .*cannot be &quot;all&quot;/s);
    expect(await answers('/fleet?run=none')).toMatch(/^400 .*no audit run none/s);
    expect(await answers('/fleet/devices/nobody')).toMatch(/^404 .*knows the device nobody/s);
    expect(await answers('/fleet/nothing/here')).toMatch(/^404 /);
  });

  it('show what a person, a device or an event wrote as text, wherever it turns up', async () => {
    await inWindow(async (page) => {
      for (const path of [
        '/fleet',
        '/fleet/devices?q=thermostat-0091',
        '/fleet/devices/thermostat-0091',
        '/fleet/devices/thermostat-0005',
        '/fleet/devices?held=true',
        `/fleet/devices?q=${encodeURIComponent(evil)}`,
        `/fleet/devices?product=${encodeURIComponent(evil)}`,
        `/fleet/rejected?source=${encodeURIComponent(evil)}`,
      ]) {
        await page.goto(path);
        expect(await page.locator('main img, main script, main iframe').count(), path).toBe(0);
      }
      await page.goto('/fleet/devices/thermostat-0005');
      expect(await text(page, '.say')).toContain(evil);
    });
    const file = await chain.request(`/api/devices?q=thermostat-0005&format=csv`);
    expect(await file.text()).toContain(`"${evil.replaceAll('"', '""')}"`);
  });

  it('can be used with the keyboard alone', async () => {
    await inWindow(async (page) => {
      await page.goto('/fleet');
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to content');
      await page.keyboard.press('Enter');
      await page.keyboard.press('/');
      expect(await page.evaluate('document.activeElement.id')).toBe('find');
      await page.keyboard.type('thermostat-0001');
      await page.keyboard.press('Enter');
      await page.waitForURL(/q=thermostat-0001/);
      await page.getByRole('link', { name: 'thermostat-0001', exact: true }).focus();
      await page.keyboard.press('Enter');
      await page.waitForURL(/devices\/thermostat-0001/);
      await page.getByText('Hold this device').focus();
      await page.keyboard.press('Enter');
      await page.keyboard.press('Tab');
      expect(await page.evaluate('document.activeElement.name')).toBe('reason');
    });
  });

  it('work without script', async () => {
    await inWindow(
      async (page) => {
        await page.goto('/fleet/devices');
        await page.getByLabel('Product').selectOption('beacon-b2');
        await page.getByRole('button', { name: 'Show' }).click();
        expect(await page.locator('table.rows tbody tr').count()).toBe(7);
      },
      { javaScriptEnabled: false },
    );
  });

  const paths: readonly [string, string][] = [
    ['overview', '/fleet'],
    ['findings', '/fleet/findings'],
    ['finding', '/fleet/findings?code=enrollment-differs&show=still'],
    ['devices', '/fleet/devices'],
    ['no-match', '/fleet/devices?q=nobody'],
    ['device', '/fleet/devices/thermostat-0001'],
    ['device-member', '/fleet/devices/beacon-0001'],
    ['label', '/fleet/devices/thermostat-0001/label'],
    ['labels', '/fleet/batches/2026-W47-B1/labels'],
    ['device-unknown', '/fleet/devices/beacon-9998'],
    ['batches', '/fleet/batches'],
    ['batch', '/fleet/batches/2026-W47-B1'],
    ['rejected', '/fleet/rejected'],
    ['status', '/fleet/status'],
  ];
  it.each(paths)(
    '%s is without fault to axe-core, and no wider than its window, light and dark',
    async (name, path) => {
      await inWindow(async (page, window) => {
        await page.goto(path);
        for (const width of [390, 768, 1280]) {
          await page.setViewportSize({ width, height: 900 });
          expect(await window.isTooWide(), `${width}`).toBe(false);
          // In the dark nothing but colors is different.
          for (const [colorScheme, rules] of [
            ['light', 'all'],
            ['dark', 'colors'],
          ] as const) {
            await page.emulateMedia({ colorScheme });
            expect(await window.violations(rules), `${width} ${colorScheme}`).toEqual([]);
            await window.picture(`${name}-${width}-${colorScheme}`);
          }
        }
      });
    },
  );

  // The last one: the circuit breaker stays open for half a minute.
  it('tell support as much as they can while DPS is down', async () => {
    await chain.control('faults', 'PUT', [{ operation: '*', status: 500 }]);
    try {
      await inWindow(async (page, window) => {
        await page.goto('/fleet/devices/thermostat-0003');
        expect(await text(page, '.notice')).toContain('DPS cannot be read now.');
        expect(await text(page, '.figures')).toContain('Assigned');
        expect(await text(page, '.timeline')).toContain('Registered: assigned');
        await window.picture('device-dps-down');
      });
    } finally {
      await chain.control('faults', 'PUT', []);
    }
  });
});
