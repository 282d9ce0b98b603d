/** Texts that all charts share. */
export const charts = {
  numbers: 'Numbers',
};
