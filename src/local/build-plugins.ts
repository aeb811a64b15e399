/** What esbuild is told so that the bundle loads less than its imports name. */
import type { Plugin } from 'esbuild';

/**
 * These of Node's own modules come by `require`. An ES import reads every export of a module, and some are getters that
 * load a lot: those of `node:http` Node's whole fetch and WebSocket, 60 ms for whoever imports one constant.
 */
export const gettersUnread: Plugin = {
  name: 'getters-unread',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(?:node:)?(?:fs|http|process|util)$/ }, ({ path, kind }) =>
      kind === 'import-statement' ? { path, namespace: 'by-require' } : undefined,
    );
    onLoad({ filter: /.*/, namespace: 'by-require' }, ({ path }) => ({
      contents: `module.exports = require(${JSON.stringify(path)});`,
    }));
  },
};

/** Of undici the DPS client uses the pool; undici's index brings fetch, WebSocket, caches and mocks: more than half. */
export const undiciPoolAlone: Plugin = {
  name: 'undici-pool-alone',
  setup({ onResolve, onLoad, initialOptions }) {
    onResolve({ filter: /^undici$/ }, ({ path }) => ({ path, namespace: 'pool-alone' }));
    onLoad({ filter: /.*/, namespace: 'pool-alone' }, () => ({
      contents: "export { default as Pool } from 'undici/lib/dispatcher/pool.js';",
      resolveDir: initialOptions.stdin?.resolveDir ?? '.',
    }));
  },
};
