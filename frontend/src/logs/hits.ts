/** Where a text has what was searched, as the service finds it: whole words, whatever their case and accents. */

interface Term {
  words: string[];
  /** The last word is a beginning. */
  open: boolean;
}

export interface Part {
  text: string;
  hit: boolean;
}

const TERM = /(-?)"([^"]*)(?:"|$)|([^\s"]+)/g;
const WORD = /[\p{L}\p{N}]+/gu;

export function fold(text: string): string {
  // Case is folded, not lowered, by the service: ß is ss.
  return text.normalize('NFKD').replace(/\p{M}/gu, '').toLowerCase().replaceAll('ß', 'ss');
}

function terms(query: string): Term[] {
  const found: Term[] = [];
  for (const [, minus, quoted, bare] of query.matchAll(TERM)) {
    if (minus || bare?.startsWith('-')) continue;
    const words = fold(quoted ?? bare ?? '').match(WORD) ?? [];
    if (words.length) found.push({ words, open: bare?.endsWith('*') ?? false });
  }
  return found;
}

interface Word {
  from: number;
  to: number;
  word: string;
}

/** The words of a text where they stand. Marks belong to their letter, so that decomposed text is cut right. */
function cut(text: string): Word[] {
  return [...text.matchAll(/[\p{L}\p{N}][\p{L}\p{N}\p{M}]*/gu)].map((match) => ({
    from: match.index,
    to: match.index + match[0].length,
    word: fold(match[0]),
  }));
}

/** The text in parts, those that answer the query marked. */
export function mark(text: string, query: string): Part[] {
  const wanted = terms(query);
  if (!wanted.length) return [{ text, hit: false }];
  const words = cut(text);
  const spans: [number, number][] = [];
  for (let at = 0; at < words.length; at += 1) {
    for (const term of wanted) {
      if (!fits(words, at, term)) continue;
      const last = words[at + term.words.length - 1]!;
      spans.push([words[at]!.from, last.to]);
    }
  }
  return parts(text, spans);
}

export function hasHit(text: string | null | undefined, query: string): boolean {
  return !!text && mark(text, query).some((part) => part.hit);
}

function fits(words: readonly Word[], at: number, term: Term): boolean {
  return term.words.every((word, index) => {
    const there = words[at + index]?.word;
    if (there === undefined) return false;
    return term.open && index === term.words.length - 1 ? there.startsWith(word) : there === word;
  });
}

function parts(text: string, spans: [number, number][]): Part[] {
  const found: Part[] = [];
  let done = 0;
  for (const [from, to] of spans.sort((a, b) => a[0] - b[0])) {
    if (to <= done) continue;
    const start = Math.max(from, done);
    if (start > done) found.push({ text: text.slice(done, start), hit: false });
    found.push({ text: text.slice(start, to), hit: true });
    done = to;
  }
  if (done < text.length || !found.length) found.push({ text: text.slice(done), hit: false });
  return found;
}
