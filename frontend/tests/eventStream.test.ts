import { expect, test } from 'vitest';
import { readEvents, type StreamEvent } from '../src/api/eventStream';

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
