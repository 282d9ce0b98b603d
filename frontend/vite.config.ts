import { svelte, vitePreprocess } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { serviceWorker } from './worker/plugin.ts';

export default defineConfig({
  base: '/ui/',
  plugins: [svelte({ preprocess: vitePreprocess() }), serviceWorker()],
  build: {
    outDir: '../src/machine_monitor/web',
    emptyOutDir: true,
    // tests/console/test_sources.py reads the manifest to measure the first load.
    manifest: true,
    target: 'es2022',
    // All browsers of the target support module preloading.
    modulePreload: { polyfill: false },
    // Inlined assets cannot be cached, and the content security policy forbids them.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    // For `npm run dev`: requests to the API are forwarded to `mm serve`.
    proxy: { '^/(?!ui/)': { target: process.env.MM_API ?? 'http://127.0.0.1:8000', changeOrigin: true } },
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node', css: true },
});
