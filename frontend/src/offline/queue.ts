import type { Problem } from '../api/failure';

/** A new log that is on its way. */
export interface Waiting {
  uuid: string;
  /** The order in which they were written. */
  seq: number;
  /** Whose it is: it is sent by its author alone. Null on a site without accounts. */
  by: string | null;
  body: LogBody;
  /** Whether it was sent before: it may be there, though no answer came. */
  tried: boolean;
  /** Why the service did not take it; it waits for its author then, not for the network. */
  refused: Problem | null;
}

/** A log as a PUT carries it. */
export type LogBody = { machine: string; type: string; started_at: string } & Record<string, string | null>;

export type Verdict = 'done' | 'later' | 'refused';

/** The next one to send: the oldest of this author's that was not refused. */
export function next(queue: readonly Waiting[], me: string | null): Waiting | null {
  const mine = queue.filter(({ refused, by }) => !refused && (by === null || by === me));
  return mine.reduce<Waiting | null>((oldest, one) => (oldest && oldest.seq < one.seq ? oldest : one), null);
}

/**
 * What an answer to a PUT with `If-None-Match: *` means. 412: a log of this uuid is there, and the uuid is ours, so an
 * earlier attempt arrived and its answer was lost. What may be otherwise in an hour (no answer, nobody signed in, too
 * many requests, a service in trouble) is tried again.
 */
export function judge(status: number): Verdict {
  if ((status >= 200 && status < 300) || status === 412) return 'done';
  const passing = status === 0 || status === 401 || status === 408 || status === 425 || status === 429 || status >= 500;
  return passing ? 'later' : 'refused';
}
