import { readLocal, removeLocal, writeLocal } from './localStorage';
import { storageName } from './rootPath';

const LEASE_MS = 10_000;
// A tab that has written its lease waits this long, then checks that no other tab has overwritten it.
const OVERWRITE_CHECK_MS = 60;
const MAX_RANDOM_DELAY_MS = 400;

/** The lease in localStorage. Tabs of an older build may be open too, so its field names must not change. */
interface Lease {
  holder: string;
  until: number;
}

/**
 * Run `work` while this tab holds the lock `name`. One tab holds the lock at a time; the other tabs wait.
 *
 * The lock is a Web Lock. Browsers offer Web Locks only on https and on localhost: on plain http, the lock is a lease in
 * localStorage, which all tabs share. A tab that crashes no longer renews its lease, so another tab gets it after `LEASE_MS`.
 */
export async function withTabLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  if (navigator.locks) return navigator.locks.request(storageName(name), work) as Promise<T>;
  const holder = String(Math.random());
  const key = `mm.lease.${name}`;
  while (!(await tryAcquireLease(key, holder))) await sleep(OVERWRITE_CHECK_MS + Math.random() * MAX_RANDOM_DELAY_MS);
  // Browsers slow down the timers of a tab in the background: another tab may hold the lease by the time this runs.
  const renewal = setInterval(() => readLease(key)?.holder === holder && writeLease(key, holder), LEASE_MS / 3);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    if (readLease(key)?.holder === holder) removeLocal(key);
  }
}

/** Take the lease if no other tab holds it. Returns whether this tab holds it now. */
async function tryAcquireLease(key: string, holder: string): Promise<boolean> {
  const lease = readLease(key);
  if (lease && lease.until > Date.now() && lease.holder !== holder) return false;
  writeLease(key, holder);
  // Two tabs may write at the same moment. The later one overwrites the lease and keeps it.
  await sleep(OVERWRITE_CHECK_MS);
  return readLease(key)?.holder === holder;
}

function readLease(key: string): Lease | null {
  return readLocal<Lease>(key);
}

function writeLease(key: string, holder: string): void {
  writeLocal(key, { holder, until: Date.now() + LEASE_MS });
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
