const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
// The clock of the console ticks every 30 seconds, and differs a little from the service's: a start this close ahead is now.
const CLOCK_TOLERANCE = 2 * MINUTE;

/** Formats times and numbers in one language and in the time zone of the site. */
export class Formats {
  readonly language: string;
  readonly timeZone: string;
  #full: Intl.DateTimeFormat;
  #exact: Intl.DateTimeFormat;
  #day: Intl.DateTimeFormat;
  #dayWithYear: Intl.DateTimeFormat;
  #timeOfDay: Intl.DateTimeFormat;
  #number: Intl.NumberFormat;
  #month: Intl.DateTimeFormat;
  #monthName: Intl.DateTimeFormat;
  #shortMonth: Intl.DateTimeFormat;
  #monthInitial: Intl.DateTimeFormat;
  #weekday: Intl.DateTimeFormat;
  #percent: Intl.NumberFormat;
  #year: Intl.DateTimeFormat;

  /** `locale` includes the region where it matters: `en-GB` writes the day before the month, `en-US` after it. */
  constructor(locale: string, timeZone: string) {
    this.language = locale.slice(0, 2);
    this.timeZone = timeZone;
    this.#full = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'medium', timeZone });
    this.#exact = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', timeZone });
    this.#day = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', timeZone });
    this.#dayWithYear = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short', year: 'numeric', timeZone });
    this.#timeOfDay = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23', timeZone });
    this.#year = new Intl.DateTimeFormat('en', { year: 'numeric', timeZone });
    this.#month = new Intl.DateTimeFormat(locale, { month: 'long', year: 'numeric', timeZone: 'UTC' });
    this.#monthName = new Intl.DateTimeFormat(locale, { month: 'long', timeZone: 'UTC' });
    this.#shortMonth = new Intl.DateTimeFormat(locale, { month: 'short', year: 'numeric', timeZone: 'UTC' });
    this.#monthInitial = new Intl.DateTimeFormat(locale, { month: 'narrow', timeZone: 'UTC' });
    this.#weekday = new Intl.DateTimeFormat(locale, { weekday: 'long', timeZone: 'UTC' });
    this.#percent = new Intl.NumberFormat(locale, { style: 'percent', maximumFractionDigits: 0 });
    this.#number = new Intl.NumberFormat(locale, { maximumFractionDigits: 10 });
  }

  /** Date and time to the second, with the weekday and the time zone; shown on hover. */
  full(instant: string): string {
    return `${this.#full.format(new Date(instant))} (${this.timeZone})`;
  }

  /** Date and time to the second; short enough for the lists of a printout, which name the time zone once. */
  exact(instant: string): string {
    return this.#exact.format(new Date(instant));
  }

  /** The age of an instant up to one day (`2 h 10`), then its date. */
  relative(instant: string, now: number): string {
    const at = Date.parse(instant);
    const seconds = Math.round((now - at) / 1000);
    if (seconds > -CLOCK_TOLERANCE && seconds < DAY) return this.duration(seconds);
    return this.day(instant, now);
  }

  /** The date, with the year if it is not the current year. */
  day(instant: string, now: number): string {
    const at = new Date(instant);
    const isThisYear = this.#year.format(at) === this.#year.format(now);
    return (isThisYear ? this.#day : this.#dayWithYear).format(at);
  }

  /** Date and time of day. */
  dateTime(instant: string, now: number): string {
    return `${this.day(instant, now)}, ${this.#timeOfDay.format(new Date(instant))}`;
  }

  timeOfDay(instant: string): string {
    return this.#timeOfDay.format(new Date(instant));
  }

  /** A duration in its two largest units: `45 min`, `2 h 10`, `3 d 4 h`. */
  duration(seconds: number): string {
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

  /** Whether the language uses the singular for this count: English for 1, French for less than 2. */
  isSingular(count: number): boolean {
    return this.language === 'fr' ? Math.abs(count) < 2 : count === 1;
  }

  /** `2026-11` as `November 2026`. */
  month(month: string): string {
    return this.#month.format(new Date(`${month}-01`));
  }

  /** `2026-11` as `Nov 2026`, for table columns. */
  shortMonth(month: string): string {
    return this.#shortMonth.format(new Date(`${month}-01`));
  }

  /** `2026-11` as `November`. */
  monthName(month: string): string {
    return this.#monthName.format(new Date(`${month}-01`));
  }

  /** `2026-11` as `N`, for chart axes. */
  monthInitial(month: string): string {
    return this.#monthInitial.format(new Date(`${month}-01`));
  }

  /** `2026-11-24` as `Tuesday`. */
  weekday(day: string): string {
    return this.#weekday.format(new Date(day));
  }

  percent(share: number): string {
    return this.#percent.format(share);
  }

  /** Seconds as hours, with one decimal below 10 hours. */
  hours(seconds: number): string {
    const hours = seconds / HOUR;
    return this.number(hours < 10 ? Math.round(hours * 10) / 10 : Math.round(hours));
  }
}
