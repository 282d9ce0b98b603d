import { readLocal, removeLocal, writeLocal } from '../api/localStorage';

const LEASE_MS = 10_000;
const SETTLE_MS = 60;

interface Lease {
  holder: string;
  until: number;
}

/**
 * Run `work` in one tab at a time: other tabs wait for their turn. It is a Web Lock where the browser has them; on plain http
 * it is a lease in localStorage, which all tabs share.
 */
export async function withTabLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  if (navigator.locks) return navigator.locks.request(name, work) as Promise<T>;
  const holder = String(Math.random());
  const key = `mm.lease.${name}`;
  while (!(await acquire(key, holder))) await sleep(SETTLE_MS + Math.random() * 400);
  const renewal = setInterval(() => write(key, holder), LEASE_MS / 3);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    if (read(key)?.holder === holder) removeLocal(key);
  }
}

/** Take a free lease, then check whether another tab overwrote it at the same moment. Returns whether this tab has it. */
async function acquire(key: string, holder: string): Promise<boolean> {
  const lease = read(key);
  if (lease && lease.until > Date.now() && lease.holder !== holder) return false;
  write(key, holder);
  await sleep(SETTLE_MS);
  return read(key)?.holder === holder;
}

function read(key: string): Lease | null {
  return readLocal<Lease>(key);
}

function write(key: string, holder: string): void {
  writeLocal(key, { holder, until: Date.now() + LEASE_MS });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
