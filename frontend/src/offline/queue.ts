import type { Problem } from '../api/error';

/** A new log that the service has not accepted yet. IndexedDB stores these objects, so their field names must not change. */
export interface QueuedLog {
  uuid: string;
  /** The order in which the logs were written. */
  seq: number;
  /** The author's trigram: only this user sends the log. Null on a site without accounts. */
  by: string | null;
  body: LogBody;
  /** Whether a request was sent before: the service may have the log even though no response arrived. */
  tried: boolean;
  /** The problem with which the service refused the log. A refused log waits for its author, not for the network. */
  refused: Problem | null;
}

/** The body of the PUT request that creates a log. */
export type LogBody = { machine: string; type: string; started_at: string } & Record<string, string | null>;

export type Outcome = 'accepted' | 'retry' | 'refused';

/** The next log to send: the oldest one of this user that was not refused. */
export function nextToSend(queue: readonly QueuedLog[], user: string | null): QueuedLog | null {
  const sendable = queue.filter(({ refused, by }) => !refused && (by === null || by === user));
  return sendable.reduce<QueuedLog | null>((oldest, one) => (oldest && oldest.seq < one.seq ? oldest : one), null);
}

/**
 * What the status of a PUT with `If-None-Match: *` means for the log. 412 counts as accepted: the service already has this
 * UUID, so an earlier request arrived and its response was lost. The outbox retries when there was no response, no user is
 * signed in, there were too many requests, or the service had an error.
 */
export function outcomeOf(status: number): Outcome {
  if ((status >= 200 && status < 300) || status === 412) return 'accepted';
  const isTransient = status === 0 || status === 401 || status === 408 || status === 425 || status === 429 || status >= 500;
  return isTransient ? 'retry' : 'refused';
}
