const LEASE_MS = 10_000;
const SETTLE_MS = 60;

interface Lease {
  holder: string;
  until: number;
}

/** Do something in one tab at a time. Without locks (plain http) a lease in the storage that the tabs share does. */
export async function once<T>(name: string, work: () => Promise<T>): Promise<T> {
  if (navigator.locks) return navigator.locks.request(name, work) as Promise<T>;
  const holder = String(Math.random());
  const key = `mm.lease.${name}`;
  while (!(await take(key, holder))) await pause(SETTLE_MS + Math.random() * 400);
  const renewal = setInterval(() => write(key, holder), LEASE_MS / 3);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    if (read(key)?.holder === holder) localStorage.removeItem(key);
  }
}

/** Take a lease that nobody holds, and look whether another tab did so at the same moment. */
async function take(key: string, holder: string): Promise<boolean> {
  const lease = read(key);
  if (lease && lease.until > Date.now() && lease.holder !== holder) return false;
  write(key, holder);
  await pause(SETTLE_MS);
  return read(key)?.holder === holder;
}

function read(key: string): Lease | null {
  return JSON.parse(localStorage.getItem(key) ?? 'null') as Lease | null;
}

function write(key: string, holder: string): void {
  localStorage.setItem(key, JSON.stringify({ holder, until: Date.now() + LEASE_MS }));
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
