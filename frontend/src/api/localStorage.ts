/**
 * JSON values in the browser's localStorage. The console reads them at start, before the API has answered or without network.
 * Do not rename the keys that callers use: browsers hold data under them.
 */
export function readLocal<T>(key: string): T | null {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

export function writeLocal(key: string, value: unknown): void {
  localStorage.setItem(key, JSON.stringify(value));
}

export function removeLocal(key: string): void {
  localStorage.removeItem(key);
}
