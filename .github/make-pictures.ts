/**
 * Takes the pictures of the README from what `npm run demo -- --stay` shows: `node .github/make-pictures.ts URL`, with the
 * address that the demo ends with.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { chromium } from 'playwright-core';

interface Picture {
  readonly name: string;
  readonly path: string;
  readonly width: number;
  readonly height: number;
}

const pictures: readonly Picture[] = [
  { name: 'overview', path: '', width: 1_100, height: 900 },
  { name: 'device', path: '/devices/thermostat-0001', width: 1_100, height: 900 },
  { name: 'phone', path: '/devices?finding=enrollment-differs', width: 390, height: 780 },
];

const [address = ''] = process.argv.slice(2);
const executablePath = process.env.CHROMIUM_PATH ?? '/usr/bin/chromium';
if (!URL.canParse(address) || !existsSync(executablePath)) {
  console.error('Give the address that npm run demo -- --stay ends with; Chromium must be installed.');
  process.exit(1);
}
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
for (const { name, path: page, width, height } of pictures) {
  const window = await browser.newPage({ viewport: { width, height } });
  await window.goto(`${address}${page}`);
  await window.screenshot({ path: path.join(import.meta.dirname, 'pages', `${name}.png`) });
  await window.close();
}
await browser.close();
