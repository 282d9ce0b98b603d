import type { Words } from '../language.svelte';

export const charts: Words['charts'] = {
  numbers: 'Chiffres',
};
