import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Plugin } from 'vite';

const here = new URL('./', import.meta.url);
const PUBLIC = new URL('../public/', here);

/**
 * Adds the service worker `sw.js` to the build, with two constants above its code: `FILES`, the files to cache, and `BUILD`, a
 * hash of these files. If any file changes, the hash changes too, and browsers install the new worker.
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
      // The name of an asset contains a hash of its content, so hashing the names is enough.
      const digest = createHash('sha256').update(code + JSON.stringify(assets));
      for (const file of publicFiles) digest.update(readFileSync(new URL(file, PUBLIC)));
      digest.update(readFileSync(new URL('../index.html', here)));
      const files = ['./', ...assets, ...publicFiles];
      const constants = `const BUILD = '${digest.digest('hex').slice(0, 12)}';\nconst FILES = ${JSON.stringify(files)};\n`;
      this.emitFile({ type: 'asset', fileName: 'sw.js', source: constants + code });
    },
  };
}
