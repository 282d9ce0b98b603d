import { storageName } from '../device/rootPath';

/**
 * Small values that the console reads at start, before the API has answered or without network. They are in the browser's
 * localStorage; where the browser denies it or it is full, they last as long as the page. Do not rename the keys that callers
 * use: browsers hold data under them.
 */
const memory = new Map<string, string | null>();

export function readLocalText(key: string): string | null {
  try {
    return memory.has(key) ? memory.get(key)! : localStorage.getItem(storageName(key));
  } catch {
    return null;
  }
}

/** Store a text, or remove it if it is null. */
export function writeLocalText(key: string, text: string | null): void {
  try {
    if (text === null) localStorage.removeItem(storageName(key));
    else localStorage.setItem(storageName(key), text);
    memory.delete(key);
  } catch {
    memory.set(key, text);
  }
}

export function readLocal<T>(key: string): T | null {
  try {
    return JSON.parse(readLocalText(key) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

export function writeLocal(key: string, value: unknown): void {
  writeLocalText(key, JSON.stringify(value));
}

export function removeLocal(key: string): void {
  writeLocalText(key, null);
}
