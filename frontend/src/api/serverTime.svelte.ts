import { readLocal, writeLocal } from '../device/localStorage';

// Browsers hold the offset under this key: a phone whose clock is wrong may start without network.
const KEY = 'mm.clockOffset';
const NOTICEABLE_MS = 2 * 60_000;
// A server writes the header anew once a second, and later when it is busy: a device that is ahead by less may be right.
const MAX_LAG_MS = 2_000;

/**
 * The time of the service. A device's clock may be wrong by hours; the `Date` header of each response tells by how much. The
 * header has whole seconds and the response took some time, so each response gives a range for the offset. If the ranges allow
 * an offset of zero, the device's clock is right.
 */
class ServerTime {
  /** Milliseconds to add to the device's clock. */
  offset = $state(readLocal<number>(KEY) ?? 0);
  isNoticeable = $derived(Math.abs(this.offset) > NOTICEABLE_MS);
  #low = -Infinity;
  #high = Infinity;

  now(): number {
    return Date.now() + this.offset;
  }

  /** The present instant in the form of the API. */
  nowText(): string {
    return new Date(this.now()).toISOString();
  }

  /** Learn from a response. `sent` and `received` are times of the device's clock. */
  observe(dateHeader: string | null, sent: number, received: number): void {
    const second = Date.parse(dateHeader ?? '');
    if (Number.isNaN(second)) return;
    // The service wrote the header after `sent` and before `received`, somewhere in this second of its clock.
    const [low, high] = [second - received, second + 1000 - sent];
    const agrees = low <= this.#high && high >= this.#low;
    // Ranges that exclude each other mean that somebody set one of the clocks meanwhile.
    this.#low = agrees ? Math.max(low, this.#low) : low;
    this.#high = agrees ? Math.min(high, this.#high) : high;
    const nearest = Math.round(Math.min(Math.max(0, this.#low), this.#high));
    const offset = nearest < 0 && nearest > -MAX_LAG_MS ? 0 : nearest;
    if (offset === this.offset) return;
    this.offset = offset;
    writeLocal(KEY, offset);
  }
}

export const serverTime = new ServerTime();
