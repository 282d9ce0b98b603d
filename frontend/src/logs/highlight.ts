/**
 * Finds the search terms in a text, with the rules of the service's search: whole words, ignoring case and accents.
 */

interface Term {
  words: string[];
  /** Whether the last word is a prefix (`gear*`). */
  isPrefix: boolean;
}

export interface TextPart {
  text: string;
  isMatch: boolean;
}

const TERM = /(-?)"([^"]*)(?:"|$)|([^\s"]+)/g;
const WORD = /[\p{L}\p{N}]+/gu;

/** Remove accents and case for comparison. */
export function fold(text: string): string {
  // The service folds case in full, so that ß equals ss; `toLowerCase` leaves ß as it is.
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replaceAll('ß', 'ss');
}

function termsOf(query: string): Term[] {
  const terms: Term[] = [];
  for (const [, minus, quoted, bare] of query.matchAll(TERM)) {
    if (minus || bare?.startsWith('-')) continue;
    const words = fold(quoted ?? bare ?? '').match(WORD) ?? [];
    if (words.length) terms.push({ words, isPrefix: bare?.endsWith('*') ?? false });
  }
  return terms;
}

interface Word {
  from: number;
  to: number;
  word: string;
}

/** The words of a text with their positions. Combining marks belong to their letter, so decomposed text is cut correctly. */
function wordsOf(text: string): Word[] {
  return [...text.matchAll(/[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu)].map((match) => ({
    from: match.index,
    to: match.index + match[0].length,
    word: fold(match[0]),
  }));
}

/** Split a text into parts that match the query and parts that do not. The joined parts are the text. */
export function highlight(text: string, query: string): TextPart[] {
  const terms = termsOf(query);
  if (!terms.length) return [{ text, isMatch: false }];
  const words = wordsOf(text);
  const ranges: [number, number][] = [];
  for (let at = 0; at < words.length; at += 1) {
    for (const term of terms) {
      if (!matchesAt(words, at, term)) continue;
      const last = words[at + term.words.length - 1]!;
      ranges.push([words[at]!.from, last.to]);
    }
  }
  return split(text, ranges);
}

export function hasMatch(text: string | null | undefined, query: string): boolean {
  return !!text && highlight(text, query).some((part) => part.isMatch);
}

function matchesAt(words: readonly Word[], at: number, term: Term): boolean {
  return term.words.every((word, index) => {
    const found = words[at + index]?.word;
    if (found === undefined) return false;
    return term.isPrefix && index === term.words.length - 1 ? found.startsWith(word) : found === word;
  });
}

/** Split a text at the ends of the ranges, which may overlap. */
function split(text: string, ranges: [number, number][]): TextPart[] {
  const parts: TextPart[] = [];
  let done = 0;
  for (const [from, to] of ranges.sort((a, b) => a[0] - b[0])) {
    if (to <= done) continue;
    const start = Math.max(from, done);
    if (start > done) parts.push({ text: text.slice(done, start), isMatch: false });
    parts.push({ text: text.slice(start, to), isMatch: true });
    done = to;
  }
  if (done < text.length || !parts.length) parts.push({ text: text.slice(done), isMatch: false });
  return parts;
}
