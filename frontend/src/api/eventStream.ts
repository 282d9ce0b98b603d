/** A server-sent event. An event without data only says where the stream stands. */
export interface StreamEvent {
  name: string;
  id: string | null;
  data: string;
}

/**
 * Read the server-sent events of a response, until it ends. `EventSource` would do this too, but it hides why a connection
 * failed, and gives up for good after most failures. `onReceive` runs whenever anything arrives, comments included.
 */
export async function* readEvents(body: ReadableStream<Uint8Array>, onReceive: () => void): AsyncGenerator<StreamEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let unread = '';
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      onReceive();
      const blocks = (unread + decoder.decode(part.value, { stream: true })).split('\n\n');
      unread = blocks.pop()!;
      yield* blocks.map(parseEvent);
    }
  } finally {
    reader.releaseLock();
  }
}

function parseEvent(block: string): StreamEvent {
  const event: StreamEvent = { name: 'message', id: null, data: '' };
  for (const line of block.split('\n')) {
    const [field, value] = [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trimStart()];
    if (field === 'event') event.name = value;
    if (field === 'id') event.id = value;
    if (field === 'data') event.data = value;
  }
  return event;
}
