import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { describe, expect } from 'vitest';

const executable = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]
  .filter((file) => file !== undefined)
  .find(existsSync);

const axeTags = {
  all: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
  colors: ['cat.color'],
};

/** Where tests leave pictures of what they saw. */
export const pictures = path.resolve('.local/test-output/pages');

/** A `describe` whose tests are skipped where no Chromium can be had; with `CI=true` they fail there. */
export function describeInBrowser(name: string, tests: () => void): void {
  if (executable === undefined && process.env.CI !== 'true') {
    console.warn(`Install Chromium (apt-get install chromium) or set CHROMIUM_PATH. Skipped: ${name}.`);
    describe.skip(name, tests);
    return;
  }
  describe(name, tests);
}

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: executable ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
}

/** A window in which nothing may be said in the console, and nothing may fail. */
export class Window {
  readonly page: Page;
  readonly complaints: string[] = [];
  readonly #context: BrowserContext;

  private constructor(context: BrowserContext, page: Page) {
    this.#context = context;
    this.page = page;
    page.on('console', (message) => this.complaints.push(`console: ${message.text()}`));
    page.on('pageerror', (error) => this.complaints.push(`error: ${error.message}`));
    page.on('dialog', (dialog) => {
      this.complaints.push(`dialog: ${dialog.message()}`);
      void dialog.dismiss();
    });
    page.on('request', (request) => {
      const { origin } = new URL(request.url());
      if (origin !== new URL(page.url() === 'about:blank' ? request.url() : page.url()).origin) {
        this.complaints.push(`asks elsewhere: ${request.url()}`);
      }
    });
  }

  static async open(browser: Browser, options: Parameters<Browser['newContext']>[0] = {}): Promise<Window> {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, ...options });
    return new Window(context, await context.newPage());
  }

  /** What axe-core finds wrong, by the WCAG 2.2 AA rules and its best practices; or by those of them about colors. */
  async violations(rules: 'all' | 'colors' = 'all'): Promise<string[]> {
    if (await this.page.evaluate('typeof axe === "undefined"')) {
      await this.page.evaluate(axe());
    }
    const found = (await this.page.evaluate(
      `axe.run(document, { runOnly: ${JSON.stringify(axeTags[rules])} })`,
    )) as { violations: { id: string; nodes: { html: string; failureSummary: string }[] }[] };
    return found.violations.flatMap(({ id, nodes }) =>
      nodes.map(
        ({ html, failureSummary }) => `${id}: ${html.slice(0, 160)} ${failureSummary.replaceAll('\n', ' ')}`,
      ),
    );
  }

  async picture(name: string): Promise<void> {
    mkdirSync(pictures, { recursive: true });
    await this.page.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
  }

  /** Whether something sticks out to the right. */
  async isTooWide(): Promise<boolean> {
    return (await this.page.evaluate(
      'document.documentElement.scrollWidth > document.documentElement.clientWidth',
    )) as boolean;
  }

  async close(): Promise<void> {
    await this.#context.close();
    expect(this.complaints).toEqual([]);
  }
}

let source: string | undefined;
function axe(): string {
  source ??= readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  return source;
}
