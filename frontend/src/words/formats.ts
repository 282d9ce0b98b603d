const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** How times and numbers are written in a language, in the time zone of the site. */
export class Formats {
  readonly language: string;
  readonly timeZone: string;
  #exact: Intl.DateTimeFormat;
  #day: Intl.DateTimeFormat;
  #dayOfYear: Intl.DateTimeFormat;
  #clock: Intl.DateTimeFormat;
  #number: Intl.NumberFormat;
  #month: Intl.DateTimeFormat;
  #monthOnly: Intl.DateTimeFormat;
  #shortMonth: Intl.DateTimeFormat;
  #initial: Intl.DateTimeFormat;
  #weekday: Intl.DateTimeFormat;
  #percent: Intl.NumberFormat;
  #year: Intl.DateTimeFormat;

  /** `locale` is the language as a country writes it: days come before months in `en-GB`. */
  constructor(locale: string, timeZone: string) {
    this.language = locale.slice(0, 2);
    this.timeZone = timeZone;
    this.#exact = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium', timeZone });
    this.#day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', timeZone });
    this.#dayOfYear = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric', timeZone });
    this.#clock = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone });
    this.#year = new Intl.DateTimeFormat('en', { year: 'numeric', timeZone });
    this.#month = new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric', timeZone: 'UTC' });
    this.#monthOnly = new Intl.DateTimeFormat(locale, { month: 'long', timeZone: 'UTC' });
    this.#shortMonth = new Intl.DateTimeFormat(locale, { month: 'short', year: 'numeric', timeZone: 'UTC' });
    this.#initial = new Intl.DateTimeFormat(locale, { month: 'narrow', timeZone: 'UTC' });
    this.#weekday = new Intl.DateTimeFormat(locale, { weekday: 'long', timeZone: 'UTC' });
    this.#percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 });
    this.#number = new Intl.NumberFormat(locale, { maximumFractionDigits: 10 });
  }

  /** To the second, with the day of the week: on hover and in print. */
  exact(instant: string): string {
    return `${this.#exact.format(new Date(instant))} (${this.timeZone})`;
  }

  /** How long ago, up to a day; then the day, with its year if it is another. */
  when(instant: string, now: number): string {
    const at = Date.parse(instant);
    const seconds = Math.round((now - at) / 1000);
    if (seconds >= 0 && seconds < DAY) return this.span(seconds);
    return this.day(instant, now);
  }

  day(instant: string, now: number): string {
    const at = new Date(instant);
    const same = this.#year.format(at) === this.#year.format(now);
    return (same ? this.#day : this.#dayOfYear).format(at);
  }

  /** The day and the time of the clock. */
  moment(instant: string, now: number): string {
    return `${this.day(instant, now)}, ${this.#clock.format(new Date(instant))}`;
  }

  clock(instant: string): string {
    return this.#clock.format(new Date(instant));
  }

  /** A length of time in its two largest units: `45 min`, `2 h 10`, `3 d 4 h`. */
  span(seconds: number): string {
    const whole = Math.max(0, Math.round(seconds / MINUTE));
    const days = Math.floor(whole / (24 * 60));
    const hours = Math.floor((whole % (24 * 60)) / 60);
    const minutes = whole % 60;
    const day = this.language === 'fr' ? 'j' : 'd';
    if (days) return hours ? `${days} ${day} ${hours} h` : `${days} ${day}`;
    if (hours) return minutes ? `${hours} h ${String(minutes).padStart(2, '0')}` : `${hours} h`;
    return `${minutes} min`;
  }

  number(value: number): string {
    return this.#number.format(value);
  }

  /** Whether the language speaks of this many in the singular. */
  isOne(count: number): boolean {
    return this.language === 'fr' ? Math.abs(count) < 2 : count === 1;
  }

  /** A month such as `2026-11`, in full. */
  month(month: string): string {
    return this.#month.format(new Date(`${month}-01`));
  }

  /** The same, for a column of them. */
  shortMonth(month: string): string {
    return this.#shortMonth.format(new Date(`${month}-01`));
  }

  monthOnly(month: string): string {
    return this.#monthOnly.format(new Date(`${month}-01`));
  }

  initial(month: string): string {
    return this.#initial.format(new Date(`${month}-01`));
  }

  /** The day of the week of a day such as `2026-11-24`. */
  weekday(day: string): string {
    return this.#weekday.format(new Date(day));
  }

  percent(share: number): string {
    return this.#percent.format(share);
  }

  /** Seconds as hours; tenths where they matter. */
  hours(seconds: number): string {
    const hours = seconds / HOUR;
    return this.number(hours < 10 ? Math.round(hours * 10) / 10 : Math.round(hours));
  }
}
