import { api, data, type LogType } from './client';
import { recall, remember } from './memory';

const ZONE = 'mm.timezone';
const TYPES = 'mm.types';

/** What the site says of itself: its time zone and its types of logs; as it was last seen until it is known. */
class Site {
  timezone = $state(recall<string>(ZONE) ?? 'UTC');
  types = $state.raw<ReadonlyMap<string, LogType>>(byCode(recall<LogType[]>(TYPES) ?? []));
  /** Whether the types were read. */
  known = $state(false);

  /** The zone is open to all, so that even the sign-in page shows the right times. */
  async find(): Promise<void> {
    const described = (await data(api.GET('/'))) as { timezone: string };
    this.timezone = described.timezone;
    remember(ZONE, this.timezone);
  }

  /** Read the types, once one may. */
  async read(): Promise<void> {
    const page = await data(api.GET('/log-types', { params: { query: { limit: 500 } } }));
    this.types = byCode(page.items as LogType[]);
    remember(TYPES, page.items);
    this.known = true;
  }
}

function byCode(types: readonly LogType[]): ReadonlyMap<string, LogType> {
  return new Map(types.map((type) => [type.code, type]));
}

export const site = new Site();
