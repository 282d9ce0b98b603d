import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import type { Plugin } from 'vite';

const here = new URL('./', import.meta.url);
const PUBLIC = new URL('../public/', here);

/** Writes `sw.js`, which knows the files of its build; a build of other files is another worker. */
export function serviceWorker(): Plugin {
  return {
    name: 'mm-service-worker',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const code = readFileSync(new URL('sw.js', here), 'utf-8');
      const built = Object.keys(bundle).filter((file) => /\.(js|css)$/.test(file)).sort();
      const copied = readdirSync(PUBLIC);
      const digest = createHash('sha256').update(code + JSON.stringify(built));
      for (const file of copied) digest.update(readFileSync(new URL(file, PUBLIC)));
      digest.update(readFileSync(new URL('../index.html', here)));
      const files = ['/ui/', ...[...built, ...copied].map((file) => `/ui/${file}`)];
      const head = `const BUILD = '${digest.digest('hex').slice(0, 12)}';\nconst FILES = ${JSON.stringify(files)};\n`;
      this.emitFile({ type: 'asset', fileName: 'sw.js', source: head + code });
    },
  };
}
