import { readLocalText, writeLocalText } from '../device/localStorage';
import { site } from '../api/site.svelte';
import type { Messages } from './en';
import { Formats } from './formats';

export type Language = 'en' | 'fr';

// Browsers hold the user's choice under this key.
const KEY = 'mm.language';
// Each language has two chunks, so that the first load has one language and only the messages that it shows.
const FIRST = { en: () => import('./en'), fr: () => import('./fr') };
const OTHERS = { en: () => import('./en/others'), fr: () => import('./fr/others') };

/** The language of the console. Components read messages from `t` and format numbers and times with `formats`. */
class I18n {
  language = $state<Language>('en');
  /** Before `loadAll` has ended, only the messages of the first load. */
  t = $state.raw({} as Messages);
  formats = $derived(new Formats(localeOf(this.language), site.timezone));
  #chosen: Language = 'en';
  #all: Promise<void> | null = null;

  /** Load the language that the user chose before, else the browser's language, else English. */
  async start(): Promise<void> {
    const preferred = [readLocalText(KEY) ?? '', ...navigator.languages].map((tag) => tag.slice(0, 2));
    this.#chosen = preferred.find((tag): tag is Language => tag in FIRST) ?? 'en';
    this.#show(this.#chosen, (await FIRST[this.#chosen]()).default);
  }

  async choose(language: Language): Promise<void> {
    writeLocalText(KEY, language);
    this.#chosen = language;
    this.#all = this.#loadAll(language);
    await this.#all;
  }

  /** Load the messages of all pages. */
  loadAll(): Promise<void> {
    this.#all ??= this.#loadAll(this.#chosen);
    // After an error, the next call tries again.
    this.#all.catch(() => (this.#all = null));
    return this.#all;
  }

  /** Load a part of the console that is not in the first load, with its messages. */
  async loadPart<T>(chunk: Promise<T>): Promise<T> {
    const [part] = await Promise.all([chunk, this.loadAll()]);
    return part;
  }

  async #loadAll(language: Language): Promise<void> {
    const [first, others] = await Promise.all([FIRST[language](), OTHERS[language]()]);
    // The user may have chosen another language meanwhile.
    if (language === this.#chosen) this.#show(language, { ...first.default, ...others.default });
  }

  #show(language: Language, messages: Partial<Messages>): void {
    this.t = messages as Messages;
    this.language = language;
    document.documentElement.lang = language;
  }
}

/** The browser's regional variant of a language, such as `en-GB`, if it has one. */
function localeOf(language: Language): string {
  return navigator.languages.find((tag) => tag.startsWith(language)) ?? language;
}

export const i18n = new I18n();
