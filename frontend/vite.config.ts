import { svelte, vitePreprocess } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';
import { serviceWorker } from './worker/plugin.ts';

export default defineConfig({
  base: '/ui/',
  plugins: [svelte({ preprocess: vitePreprocess() }), serviceWorker()],
  build: {
    outDir: '../src/machine_monitor/web',
    emptyOutDir: true,
    // A test adds up what the first page takes.
    manifest: true,
    target: 'es2022',
    // Every browser of that age preloads modules by itself.
    modulePreload: { polyfill: false },
    // What is inlined could be neither cached nor allowed by the policy of the page.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
  },
  server: {
    // `npm run dev` beside `mm serve`: the API answers as from one origin.
    proxy: { '^/(?!ui/)': { target: process.env.MM_API ?? 'http://127.0.0.1:8000', changeOrigin: true } },
  },
  test: { include: ['tests/**/*.test.ts'], environment: 'node', css: true },
});
