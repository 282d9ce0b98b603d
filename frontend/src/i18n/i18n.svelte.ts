import { readLocalText, writeLocalText } from '../api/localStorage';
import { site } from '../api/site.svelte';
import en, { type Messages } from './en';
import { Formats } from './formats';

export type Language = 'en' | 'fr';

// Browsers hold the user's choice under this key.
const KEY = 'mm.language';
const LOADERS: Record<Language, () => Promise<Messages>> = {
  en: async () => en,
  // French is a chunk of its own, so that English-speaking users do not download it.
  fr: async () => (await import('./fr')).default,
};

/** The language of the console. Components read messages from `t` and format numbers and times with `formats`. */
class I18n {
  language = $state<Language>('en');
  t = $state.raw<Messages>(en);
  formats = $derived(new Formats(localeOf(this.language), site.timezone));

  /** Load the language that the user chose before, else the browser's language, else English. */
  async start(): Promise<void> {
    const preferred = [readLocalText(KEY) ?? '', ...navigator.languages].map((tag) => tag.slice(0, 2));
    await this.#load(preferred.find((tag): tag is Language => tag in LOADERS) ?? 'en');
  }

  async choose(language: Language): Promise<void> {
    writeLocalText(KEY, language);
    await this.#load(language);
  }

  async #load(language: Language): Promise<void> {
    this.t = await LOADERS[language]();
    this.language = language;
    document.documentElement.lang = language;
  }
}

/** The browser's regional variant of a language, such as `en-GB`, if it has one. */
function localeOf(language: Language): string {
  return navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
}

export const i18n = new I18n();
