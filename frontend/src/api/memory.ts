/** What this browser remembers of the service, to know it at once and without a network. */
export function recall<T>(key: string): T | null {
  try {
    return JSON.parse(localStorage.getItem(key) ?? 'null') as T | null;
  } catch {
    return null;
  }
}

export function remember(key: string, value: unknown): void {
  localStorage.setItem(key, JSON.stringify(value));
}

export function forget(key: string): void {
  localStorage.removeItem(key);
}
