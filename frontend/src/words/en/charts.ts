/** What all pictures have. */
export const charts = {
  numbers: 'Numbers',
};
