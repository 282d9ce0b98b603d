import { site } from '../api/site.svelte';
import en, { type Words } from './en';
import { Formats } from './formats';

export type Language = 'en' | 'fr';

const KEY = 'mm.language';
const LOADERS: Record<Language, () => Promise<Words>> = {
  en: async () => en,
  // Its own chunk: who reads English does not fetch it.
  fr: async () => (await import('./fr')).default,
};

/** The language of the page. Components read `t` for words and `formats` for numbers and times. */
class Tongue {
  language = $state<Language>('en');
  t = $state.raw<Words>(en);
  formats = $derived(new Formats(regional(this.language), site.timezone));

  /** Speak the language that was chosen before, else the browser's, else English. */
  async start(): Promise<void> {
    const wanted = [localStorage.getItem(KEY) ?? '', ...navigator.languages].map((tag) => tag.slice(0, 2));
    await this.#speak(wanted.find((tag): tag is Language => tag in LOADERS) ?? 'en');
  }

  async choose(language: Language): Promise<void> {
    localStorage.setItem(KEY, language);
    await this.#speak(language);
  }

  async #speak(language: Language): Promise<void> {
    this.t = await LOADERS[language]();
    this.language = language;
    document.documentElement.lang = language;
  }
}

/** The language as this browser's country writes it. */
function regional(language: Language): string {
  return navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
}

export const tongue = new Tongue();
