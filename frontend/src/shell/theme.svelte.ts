import { readLocalText, writeLocalText } from '../device/localStorage';

export type ThemeChoice = 'auto' | 'light' | 'dark';

// Browsers hold the user's choice under this key.
const KEY = 'mm.theme';

/** The colour theme: the system's, unless the user chose light or dark. */
class Theme {
  choice = $state<ThemeChoice>((readLocalText(KEY) as ThemeChoice | null) ?? 'auto');

  constructor() {
    this.#apply();
  }

  choose(choice: ThemeChoice): void {
    this.choice = choice;
    writeLocalText(KEY, choice);
    this.#apply();
  }

  #apply(): void {
    if (this.choice === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.choice;
  }
}

export const theme = new Theme();
