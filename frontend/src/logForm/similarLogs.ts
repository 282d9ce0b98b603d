import { api, data, type Log } from '../api/client';
import { formatQuery } from '../router/query';
import { fold } from '../logs/highlight';

export type SimilarLog = Pick<Log, 'uuid' | 'comment' | 'cause' | 'action' | 'started_at'>;

const MIN_LETTERS = 4;
const MAX_WORDS = 4;

/**
 * The words of a text to search for, the longest first: short words say little about a breakdown. There are at least two or none,
 * because a single word occurs in too many logs.
 */
export function searchWords(text: string): string[] {
  const words = (fold(text).match(/\p{L}[\p{L}\p{N}]*/gu) ?? []).filter((word) => word.length >= MIN_LETTERS);
  const longest = [...new Set(words)].sort((one, other) => other.length - one.length).slice(0, MAX_WORDS);
  return longest.length < 2 ? [] : longest;
}

/** The log that most of the searches found; among equals one that has a cause or an action, and then the newest. */
export function bestOf(found: readonly (readonly SimilarLog[])[]): SimilarLog | null {
  const logs = new Map(found.flat().filter((log) => knowledgeOf(log)).map((log) => [log.uuid, log]));
  const hits = ({ uuid }: SimilarLog): number => found.filter((one) => one.some((log) => log.uuid === uuid)).length;
  const isExplained = ({ cause, action }: SimilarLog): number => Number(Boolean(cause ?? action));
  const byWorth = (one: SimilarLog, other: SimilarLog): number =>
    hits(other) - hits(one) || isExplained(other) - isExplained(one) || Date.parse(other.started_at) - Date.parse(one.started_at);
  return [...logs.values()].sort(byWorth)[0] ?? null;
}

/** What to show of a log that is like the new one: its cause, else its action, else its comment. */
export function knowledgeOf(log: SimilarLog): string {
  return log.cause ?? log.action ?? log.comment ?? '';
}

/** Find an earlier log of the machine that is like a text. Throws an `ApiError`. */
export async function findSimilarLog(machine: string, text: string, signal: AbortSignal): Promise<SimilarLog | null> {
  const words = searchWords(text).map((word) => `${word}*`);
  if (!words.length) return null;
  const search = async (q: string): Promise<SimilarLog[]> => {
    const query = formatQuery([['machine', machine], ['q', q], ['limit', '3'], ['fields', 'uuid,comment,cause,action,started_at']]).slice(1);
    return (await data(api.GET('/logs', { querySerializer: () => query, signal }))).items as SimilarLog[];
  };
  // A search finds logs that have all its words. If none has, the logs that have some of them follow.
  return bestOf([await search(words.join(' '))]) ?? bestOf(await Promise.all(words.map(search)));
}
