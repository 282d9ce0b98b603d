import { api, data, type LogType } from './client';

/** What the site says of itself: its time zone and its types of logs. */
class Site {
  timezone = $state('UTC');
  types = $state.raw<ReadonlyMap<string, LogType>>(new Map());
  /** Whether the types were read. */
  known = $state(false);

  /** The zone is open to all, so that even the sign-in page shows the right times. */
  async find(): Promise<void> {
    const described = (await data(api.GET('/'))) as { timezone: string };
    this.timezone = described.timezone;
  }

  /** Read the types, once one may. */
  async read(): Promise<void> {
    const page = await data(api.GET('/log-types', { params: { query: { limit: 500 } } }));
    this.types = new Map((page.items as LogType[]).map((type) => [type.code, type]));
    this.known = true;
  }
}

export const site = new Site();
