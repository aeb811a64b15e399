/** Markup that is safe to put into a page as it is. */
export class Markup {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Every value is escaped, unless it is markup already. */
export function html(parts: TemplateStringsArray, ...values: readonly unknown[]): Markup {
  return new Markup(
    parts.map((part, index) => (index === 0 ? part : `${render(values[index - 1])}${part}`)).join(''),
  );
}

function render(value: unknown): string {
  if (value instanceof Markup) return value.text;
  if (Array.isArray(value)) return value.map(render).join('');
  if (value === undefined || value === null || value === false) return '';
  return String(value).replace(/[&<>"']/g, (character) => entities[character] ?? character);
}

const style = new Markup(`
:root { color-scheme: light dark; --line: #8884; --dim: #777; --bad: #c62828; --warn: #b26a00; --good: #2e7d32; --info: #1565c0 }
@media (prefers-color-scheme: dark) { :root { --dim: #999; --bad: #ff8a80; --warn: #ffb74d; --good: #81c784; --info: #90caf9 } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1.5rem }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem }
p.lead { color: var(--dim); margin: 0 0 1rem }
table { border-collapse: collapse; width: 100% } th, td { border-bottom: 1px solid var(--line); padding: .35rem .75rem .35rem 0; text-align: left; vertical-align: top }
th { color: var(--dim); font-weight: 500 } td { overflow-wrap: anywhere }
.cards { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1rem 0 }
.card { border: 1px solid var(--line); border-radius: .5rem; min-width: 8rem; padding: .6rem .9rem } .card b { display: block; font-size: 1.4rem }
.card span { color: var(--dim) }
.bad, .critical, .rejected { color: var(--bad) } .warn, .warning, .retrying, .disabled { color: var(--warn) } .good, .succeeded, .enabled { color: var(--good) } .info { color: var(--info) }
.columns { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(18rem, 1fr)) } .columns > * { min-width: 0 }
pre { border: 1px solid var(--line); border-radius: .5rem; margin: 0; overflow: auto; padding: .5rem .75rem; font-size: .8rem; white-space: pre-wrap }
code { font-size: .85em } .scroll { overflow-x: auto }
`);

/** A whole page. It loads nothing from anywhere. */
export function page(title: string, body: Markup): string {
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><style>${style}</style></head><body>${body}</body></html>
`.text;
}

/** Headers of a page of ours: nothing in it runs, and nobody frames it. */
export const pageHeaders: Readonly<Record<string, string>> = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
};

/** `2026-11-23 06:00:12 UTC` */
export function timeText(iso: string | undefined): string {
  return iso === undefined ? '' : `${iso.slice(0, 19).replace('T', ' ')} UTC`;
}
