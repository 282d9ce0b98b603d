import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Plugin } from 'vite';

const here = new URL('./', import.meta.url);
const PUBLIC = new URL('../public/', here);

/**
 * Adds the service worker `sw.js` to the build, with the list of files to cache and an identifier of the build in front. Any
 * changed file changes the identifier, so browsers install a new worker.
 */
export function serviceWorker(): Plugin {
  return {
    name: 'mm-service-worker',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const code = readFileSync(new URL('sw.js', here), 'utf-8');
      const assets = Object.keys(bundle).filter((file) => /\.(js|css)$/.test(file)).sort();
      const publicFiles = readdirSync(PUBLIC);
      const digest = createHash('sha256').update(code + JSON.stringify(assets));
      for (const file of publicFiles) digest.update(readFileSync(new URL(file, PUBLIC)));
      digest.update(readFileSync(new URL('../index.html', here)));
      const files = ['/ui/', ...[...assets, ...publicFiles].map((file) => `/ui/${file}`)];
      const constants = `const BUILD = '${digest.digest('hex').slice(0, 12)}';\nconst FILES = ${JSON.stringify(files)};\n`;
      this.emitFile({ type: 'asset', fileName: 'sw.js', source: constants + code });
    },
  };
}
