import { fold } from '../logs/highlight';
import { compareNaturally } from '../i18n/collation';

export interface SearchableMachine {
  name: string;
  serial_number?: string | null;
}

// Shorter words occur in so many serial numbers that they find nothing in particular.
const MIN_SERIAL_LENGTH = 3;

/**
 * The names of the machines that match all typed words, best matches first and otherwise in natural order. A word matches the
 * start of a word of the name, any part of the name, or any part of the serial number, in this order.
 */
export function searchMachines(machines: readonly SearchableMachine[], typed: string): string[] {
  const words = fold(typed).split(/\s+/).filter(Boolean);
  return machines
    .map((machine) => ({ name: machine.name, rank: rankOf(machine, words) }))
    .filter(({ rank }) => rank < Infinity)
    .sort((a, b) => a.rank - b.rank || compareNaturally(a.name, b.name))
    .map(({ name }) => name);
}

/** How well a machine matches: 0 is best, and `Infinity` means that a word does not match. */
function rankOf({ name, serial_number }: SearchableMachine, words: readonly string[]): number {
  const foldedName = fold(name);
  const nameWords = foldedName.split(/[^\p{L}\p{N}]+/u);
  const serial = fold(serial_number ?? '');
  const ranks = words.map((word) => {
    if (nameWords.some((nameWord) => nameWord.startsWith(word))) return 0;
    if (foldedName.includes(word)) return 1;
    return word.length >= MIN_SERIAL_LENGTH && serial.includes(word) ? 2 : Infinity;
  });
  return Math.max(0, ...ranks);
}
