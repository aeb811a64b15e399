import { html, Markup } from '../html.ts';

/** Outlines on a square of 24. */
const outlines = {
  logo: 'M12 2.8 20 7.4v9.2L12 21.2 4 16.6V7.4zM12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6z',
  overview: 'M4 4v16h16M8.5 16v-4M13 16V8M17.5 16v-6',
  findings: 'M12 4 21 19.5H3zM12 10v4.2M12 16.8v.2',
  devices: 'M5 4h14v10H5zM12 14v5M8 20h8',
  batches: 'M4 8l8-4 8 4-8 4zM4 12.2l8 4 8-4M4 16.4l8 4 8-4',
  rejected: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM6.4 6.4l11.2 11.2',
  status: 'M3 12h4l3-7 4 14 3-7h4',
  search: 'M10.5 4.5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15 15l5 5',
  critical: 'M8.3 3.5h7.4l5 5v7l-5 5H8.3l-5-5v-7zM12 7.8v5M12 16v.2',
  warning: 'M12 4 21 19.5H3zM12 10v4.2M12 16.8v.2',
  info: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 11.2V16M12 8v.2',
  good: 'M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM8.3 12.2l2.6 2.6 4.8-5.2',
  download: 'M12 4v11M7 11l5 5 5-5M5 20h14',
  print: 'M7 9V4h10v5M7 17H4V9h16v8h-3M7 14h10v6H7z',
  event: 'M4 12h11M10.5 7.5 15 12l-4.5 4.5M19 5v14',
  radio: 'M12 13v7M8.5 9.8a5 5 0 0 1 7 0M5.5 6.6a9.3 9.3 0 0 1 13 0M12 13v.1',
  hub: 'M5 5h14v5.5H5zM5 13.5h14V19H5zM8 7.8v.1M8 16.2v.1',
  key: 'M8 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 12h9M17.5 12v3.5',
  person: 'M12 4.5a3.7 3.7 0 1 0 0 7.4 3.7 3.7 0 0 0 0-7.4zM5 20c.5-3.8 3-5.6 7-5.6s6.5 1.8 7 5.6',
  lock: 'M6 11h12v9H6zM9 11V8a3 3 0 0 1 6 0v3',
  close: 'M6 6l12 12M18 6 6 18',
  refresh: 'M19 12a7 7 0 1 1-2.2-5.1M19 4v4h-4',
} as const;

export type IconName = keyof typeof outlines;

/** A picture that says nothing that the words beside it do not say. */
export function icon(name: IconName): Markup {
  return new Markup(`<svg class="icon" aria-hidden="true"><use href="#i-${name}"/></svg>`);
}

/** The outlines that a page uses, once each. */
export function iconDefinitions(body: string): Markup {
  const used = Object.entries(outlines).filter(([name]) => body.includes(`"#i-${name}"`));
  const symbols = used.map(
    ([name, path]) => html`<symbol id="i-${name}" viewBox="0 0 24 24"><path d="${path}"/></symbol>`,
  );
  return html`<svg width="0" height="0" class="vh" aria-hidden="true" focusable="false"><defs>${symbols}</defs></svg>`;
}

export const iconFile = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="#2f7f86" stroke-width="2"><path d="${outlines.logo}"/></svg>\n`;
