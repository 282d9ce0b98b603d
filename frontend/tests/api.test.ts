import { beforeEach, expect, test, vi } from 'vitest';
import { isAborted } from '../src/api/error';
import { readEvents, type StreamEvent } from '../src/api/eventStream';

const HOUR = 3_600_000;
let time: { offset: number; isNoticeable: boolean; observe: (date: string | null, sent: number, received: number) => void };

beforeEach(async () => {
  vi.resetModules();
  time = (await import('../src/api/serverTime.svelte')).serverTime;
});

/** The `Date` header of a service whose clock shows `ms`: whole seconds. */
const header = (ms: number): string => new Date(ms).toUTCString();

test('a clock that is right within the precision of the header is not corrected', () => {
  time.observe(header(10_400), 10_300, 10_500);
  time.observe(header(12_900), 12_850, 12_950);
  expect(time.offset).toBe(0);
});

test('a clock is not corrected for a header that a busy service wrote late', () => {
  time.observe(header(10 * HOUR - 1_500), 10 * HOUR, 10 * HOUR + 50);
  expect(time.offset).toBe(0);
});

test('a wrong clock is corrected to within a second', () => {
  time.observe(header(10 * HOUR + 400), 13 * HOUR + 300, 13 * HOUR + 500);
  expect(Math.abs(time.offset + 3 * HOUR)).toBeLessThan(1_100);
  expect(time.isNoticeable).toBe(true);
});

test('responses narrow the correction', () => {
  for (const at of [400, 1_950, 3_010]) time.observe(header(HOUR + at), at - 10, at + 10);
  expect(Math.abs(time.offset - HOUR)).toBeLessThan(100);
});

test('a clock that is set meanwhile is measured anew', () => {
  time.observe(header(HOUR), 0, 100);
  time.observe(header(2 * HOUR), 2 * HOUR - 50, 2 * HOUR + 50);
  expect(time.offset).toBe(0);
});

test('a response without a date changes nothing', () => {
  time.observe(null, 0, 100);
  time.observe('yesterday', 0, 100);
  expect(time.offset).toBe(0);
});

test('an aborted request is recognized in every browser', () => {
  expect(isAborted(new DOMException('', 'AbortError'))).toBe(true);
  expect(isAborted(new TypeError('AbortError: Fetch is aborted'))).toBe(true);
  expect(isAborted(new TypeError('Load failed'))).toBe(false);
});

test('a response that is cut off counts as no response', async () => {
  vi.stubGlobal('addEventListener', () => {});
  vi.stubGlobal('navigator', { onLine: true });
  const { data } = await import('../src/api/client');
  for (const thrown of [new SyntaxError('Unexpected end of JSON input'), new TypeError('network error'), new DOMException('', 'TimeoutError')]) {
    await expect(data(Promise.reject(thrown))).rejects.toMatchObject({ status: 0, code: 'offline' });
  }
  const aborted = new DOMException('', 'AbortError');
  await expect(data(Promise.reject(aborted))).rejects.toBe(aborted);
});

const STREAM = ': changes follow\nid: 7-0123456789abcdef\n\nevent: change\nid: 8-fedcba9876543210\ndata: {"key":"Früh: 1"}\n\n: still here\n\n';

/** Read a stream that arrives in parts of this many bytes. */
async function read(bytes: number): Promise<{ events: StreamEvent[]; received: number }> {
  const all = new TextEncoder().encode(STREAM);
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (let at = 0; at < all.length; at += bytes) controller.enqueue(all.slice(at, at + bytes));
      controller.close();
    },
  });
  const events: StreamEvent[] = [];
  let received = 0;
  for await (const event of readEvents(body, () => (received += 1))) events.push(event);
  return { events, received };
}

test.each([1, 2, 7, 1_000])('events are read from parts of %i bytes', async (bytes) => {
  const { events, received } = await read(bytes);
  expect(events).toEqual([
    { name: 'message', id: '7-0123456789abcdef', data: '' },
    { name: 'change', id: '8-fedcba9876543210', data: '{"key":"Früh: 1"}' },
    { name: 'message', id: null, data: '' },
  ]);
  expect(received).toBeGreaterThan(0);
});

test('a read asks for the highest position that was seen, until the history is replaced', async () => {
  const { readAfter } = await import('../src/api/readAfter');
  const asked = (): string | null => {
    const request = new Request('https://example.org/logs');
    readAfter.addTo(request);
    return request.headers.get('X-Read-After');
  };
  expect(asked()).toBeNull();
  readAfter.observeResponse(new Response('', { headers: { 'X-Read-After': '1/A0' } }));
  for (const lower of ['0/FFFFFFFF', '1/9F', undefined, null]) readAfter.observe(lower);
  expect(asked()).toBe('1/A0');
  for (const higher of ['1/100', '10/0']) {
    readAfter.observe(higher);
    expect(asked()).toBe(higher);
  }
  readAfter.forget();
  expect(asked()).toBeNull();
});
