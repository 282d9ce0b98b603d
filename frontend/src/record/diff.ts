export interface Piece {
  text: string;
  kind: 'same' | 'gone' | 'new';
}

// Longer texts are shown as wholes: the table below grows with the product of their words.
const MAX_WORDS = 600;

/** What became of a text, word by word: the longest common sequence stays. */
export function diff(before: string, after: string): Piece[] {
  const a = cut(before);
  const b = cut(after);
  if (a.length > MAX_WORDS || b.length > MAX_WORDS) return [{ text: before, kind: 'gone' }, { text: after, kind: 'new' }];
  const lengths = table(a, b);
  const pieces: Piece[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      push(pieces, a[i]!, 'same');
      i += 1;
      j += 1;
    } else if (i < a.length && (j === b.length || lengths[i + 1]![j]! >= lengths[i]![j + 1]!)) {
      push(pieces, a[i]!, 'gone');
      i += 1;
    } else {
      push(pieces, b[j]!, 'new');
      j += 1;
    }
  }
  return pieces;
}

/** Words, blanks and signs; joined they are the text. */
function cut(text: string): string[] {
  return text.match(/[\p{L}\p{N}]+|\s+|[^\p{L}\p{N}\s]/gu) ?? [];
}

/** How long the common sequence of the ends from each pair of places is. */
function table(a: readonly string[], b: readonly string[]): Uint16Array[] {
  const rows = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      rows[i]![j] = a[i] === b[j] ? rows[i + 1]![j + 1]! + 1 : Math.max(rows[i + 1]![j]!, rows[i]![j + 1]!);
    }
  }
  return rows;
}

function push(pieces: Piece[], text: string, kind: Piece['kind']): void {
  const last = pieces.at(-1);
  if (last?.kind === kind) last.text += text;
  else pieces.push({ text, kind });
}
