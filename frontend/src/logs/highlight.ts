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
// In these scripts each letter is a word. The prolonged sound mark is common to both kana.
const LETTER_WORD = '(?!\\p{Nd})(?=[\\p{L}\\p{N}])[ー\\p{scx=Han}\\p{sc=Hira}\\p{sc=Kana}\\p{sc=Hang}\\p{sc=Thai}\\p{sc=Laoo}\\p{sc=Khmr}\\p{sc=Mymr}]';
// What belongs to the letter before it: marks, and invisible characters.
const REST = '[\\p{M}\\p{DI}]*';
const LETTER = `(?!${LETTER_WORD})\\p{L}${REST}`;
const DIGIT = `\\p{N}${REST}`;
const WORD = new RegExp(`${LETTER_WORD}${REST}|(?:${LETTER}|(?!${LETTER_WORD})${DIGIT})+`, 'gu');
/** The parts of words that mix letters and digits; other words are whole. */
const PART = new RegExp(`${LETTER_WORD}${REST}|(?:${LETTER})+|(?:(?!${LETTER_WORD})${DIGIT})+`, 'gu');
const ONE_LETTER_WORD = new RegExp(LETTER_WORD, 'u');

// Letters without a decomposition, and what `toLowerCase` does not fold.
const LETTERS: Record<string, string> = { œ: 'oe', æ: 'ae', ø: 'o', ł: 'l', đ: 'd', ð: 'd', þ: 'th', ı: 'i', ß: 'ss', ς: 'σ', ё: 'е' };
const ACCENTS = /((?!\p{M})[\p{sc=Latn}\p{sc=Grek}\p{sc=Arab}\p{sc=Hebr}ـ])\p{M}+/gu;

/**
 * Remove case and accents for comparison, as the service does: in scripts where a mark makes another letter, it stays. See
 * docs/internals/search-document.md.
 */
export function fold(text: string): string {
  const decomposed = text.replace(/\p{DI}+/gu, '').normalize('NFKD').toLowerCase();
  return decomposed.replace(ACCENTS, '$1').normalize('NFC').replace(/[œæøłđðþıßςё]/g, (letter) => LETTERS[letter]!);
}

/** Whether the text has a letter that is a word by itself, as in Chinese. */
export function hasLetterWord(text: string): boolean {
  return ONE_LETTER_WORD.test(text);
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
function wordsOf(text: string, pattern: RegExp): Word[] {
  return [...text.matchAll(pattern)].map((match) => ({
    from: match.index,
    to: match.index + match[0].length,
    word: fold(match[0]),
  }));
}

/** Split a text into parts that match the query and parts that do not. The joined parts are the text. */
export function highlight(text: string, query: string): TextPart[] {
  const terms = termsOf(query);
  if (!terms.length) return [{ text, isMatch: false }];
  const ranges: [number, number][] = [];
  for (const words of [wordsOf(text, WORD), wordsOf(text, PART)]) {
    for (let at = 0; at < words.length; at += 1) {
      for (const term of terms) {
        if (!matchesAt(words, at, term)) continue;
        const last = words[at + term.words.length - 1]!;
        ranges.push([words[at]!.from, last.to]);
      }
    }
  }
  return split(text, ranges);
}

export function hasMatch(text: string | null | undefined, query: string): boolean {
  return !!text && highlight(text, query).some((part) => part.isMatch);
}

function matchesAt(words: readonly Word[], at: number, term: Term): boolean {
  return term.words.every((word, index) => {
    const textWord = words[at + index]?.word;
    if (textWord === undefined) return false;
    return term.isPrefix && index === term.words.length - 1 ? textWord.startsWith(word) : textWord === word;
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
