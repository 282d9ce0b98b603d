import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress } from 'node:zlib';
import type { Plugin } from 'vite';

/** Writes a Brotli file `x.js.br` beside each script and style sheet: Python cannot compress with Brotli, so the build does. */
export function brotli(): Plugin {
  return {
    name: 'mm-brotli',
    apply: 'build',
    async writeBundle({ dir }, bundle) {
      const files = Object.values(bundle).filter(({ fileName }) => /^assets\/.*\.(js|css)$/.test(fileName));
      const write = async (name: string, content: string | Uint8Array): Promise<void> =>
        writeFile(join(dir!, `${name}.br`), await promisify(brotliCompress)(content));
      await Promise.all(files.map((file) => write(file.fileName, file.type === 'chunk' ? file.code : file.source)));
    },
  };
}
