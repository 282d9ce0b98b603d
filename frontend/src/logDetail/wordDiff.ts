export interface DiffPart {
  text: string;
  kind: 'same' | 'removed' | 'added';
}

// The table grows with the product of the word counts. Longer texts are shown as one removed and one added part.
const MAX_WORDS = 600;

/** Compare two texts word by word, by their longest common subsequence. */
export function wordDiff(before: string, after: string): DiffPart[] {
  const a = tokenize(before);
  const b = tokenize(after);
  if (a.length > MAX_WORDS || b.length > MAX_WORDS) return [{ text: before, kind: 'removed' }, { text: after, kind: 'added' }];
  const lengths = commonLengths(a, b);
  const parts: DiffPart[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      append(parts, a[i]!, 'same');
      i += 1;
      j += 1;
    } else if (i < a.length && (j === b.length || lengths[i + 1]![j]! >= lengths[i]![j + 1]!)) {
      append(parts, a[i]!, 'removed');
      i += 1;
    } else {
      append(parts, b[j]!, 'added');
      j += 1;
    }
  }
  return parts;
}

/** Split a text into words, spaces and punctuation marks. The joined tokens are the text. */
function tokenize(text: string): string[] {
  return text.match(/[\p{L}\p{N}]+|\s+|[^\p{L}\p{N}\s]/gu) ?? [];
}

/** Cell [i][j] is the length of the longest common subsequence of `a` from i on and `b` from j on. */
function commonLengths(a: readonly string[], b: readonly string[]): Uint16Array[] {
  const rows = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      rows[i]![j] = a[i] === b[j] ? rows[i + 1]![j + 1]! + 1 : Math.max(rows[i + 1]![j]!, rows[i]![j + 1]!);
    }
  }
  return rows;
}

function append(parts: DiffPart[], text: string, kind: DiffPart['kind']): void {
  const last = parts.at(-1);
  if (last?.kind === kind) last.text += text;
  else parts.push({ text, kind });
}
