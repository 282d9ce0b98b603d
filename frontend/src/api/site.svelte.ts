import { api, data, type LogType } from './client';
import { readLocal, writeLocal } from '../device/localStorage';

const TIMEZONE_KEY = 'mm.timezone';
const TYPES_KEY = 'mm.types';

/** Settings of the site: its time zone and its log types. Until the API answers, they are those of the last visit. */
class Site {
  timezone = $state(readLocal<string>(TIMEZONE_KEY) ?? 'UTC');
  types = $state.raw<ReadonlyMap<string, LogType>>(byCode(readLocal<LogType[]>(TYPES_KEY) ?? []));
  /** Whether the API has answered with the types. */
  typesLoaded = $state(false);

  /** Load the time zone. This needs no sign-in, so the sign-in page shows the right times too. */
  async loadTimezone(): Promise<void> {
    const { timezone } = (await data(api.GET('/'))) as { timezone: string };
    this.timezone = timezone;
    writeLocal(TIMEZONE_KEY, this.timezone);
  }

  /** Load the log types. The user must be signed in, unless the site is open to all. */
  async loadTypes(): Promise<void> {
    const page = await data(api.GET('/log-types', { params: { query: { limit: 500 } } }));
    this.types = byCode(page.items as LogType[]);
    writeLocal(TYPES_KEY, page.items);
    this.typesLoaded = true;
  }
}

function byCode(types: readonly LogType[]): ReadonlyMap<string, LogType> {
  return new Map(types.map((type) => [type.code, type]));
}

export const site = new Site();
