export type Look = 'auto' | 'light' | 'dark';

const KEY = 'mm.theme';

/** Dark or light: as the system has it, unless chosen here. */
class Theme {
  look = $state<Look>((localStorage.getItem(KEY) as Look | null) ?? 'auto');

  constructor() {
    this.#apply();
  }

  choose(look: Look): void {
    this.look = look;
    localStorage.setItem(KEY, look);
    this.#apply();
  }

  #apply(): void {
    if (this.look === 'auto') delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = this.look;
  }
}

export const theme = new Theme();
