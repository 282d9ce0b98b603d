import type { Messages } from '../en';

export const charts: Messages['charts'] = {
  numbers: 'Chiffres',
};
