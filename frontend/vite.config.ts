import { svelte, vitePreprocess } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { brotli } from './worker/brotli.ts';
import { serviceWorker } from './worker/plugin.ts';

export default defineConfig(({ command }) => ({
  // The files name each other by relative addresses, so that one build works below any prefix. The service completes the page.
  base: command === 'build' ? './' : '/ui/',
  plugins: [svelte({ preprocess: vitePreprocess() }), serviceWorker(), brotli()],
  build: {
    outDir: '../src/machine_monitor/web',
    emptyOutDir: true,
    target: 'es2022',
    // All browsers of the target support module preloading.
    modulePreload: { polyfill: false },
    // Inlined assets cannot be cached, and the content security policy forbids them.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    // The licences of the npm packages in the build require that their texts are distributed with it.
    license: { fileName: 'licenses.md' },
    rolldownOptions: {
      output: {
        // Many small files compress worse than a few, and each is a request.
        codeSplitting: {
          groups: [
            // What every page needs. `main.ts` stays apart: it awaits the chunks of messages, which may import from this one.
            { name: 'shell', tags: ['$initial'], test: (module) => !/(main\.ts|index\.html)$/.test(module) },
            // The modules that the list of logs shares with most pages. Its printout is apart: it is loaded after the first rows.
            { name: 'shared', test: /src[\\/](components[\\/](Badge|Chip|Duration|Empty|Skeleton|Time|SearchBox)|logs[\\/](?!PrintedLogs)|i18n)/, minShareCount: 2 },
            // The pictures of rows and records, which the list of logs loads after its first rows.
            { name: 'tiles', test: /src[\\/]files[\\/](tiles|attachments)/ },
            { name: 'files', test: /src[\\/]files[\\/](?!viewer)/, includeDependenciesRecursively: false },
          ],
        },
      },
    },
  },
  server: {
    // For `npm run dev`: requests to the API are forwarded to `mm serve`.
    proxy: { '^/(?!ui/)': { target: process.env.MM_API ?? 'http://127.0.0.1:8000', changeOrigin: true } },
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node', css: true },
}));
