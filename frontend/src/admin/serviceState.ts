import { api, data } from '../api/client';

/** The state of the service, as `GET /service` tells it to admins. */
export interface ServiceState {
  version: string;
  health: { status: 'ready' | 'failing'; faults: string[] };
  database: { engine: string; revision: string; bytes: number };
  settings: { timezone: string; unlisted: 'on' | 'off'; anonymous: 'off' | 'read'; require_if_match: boolean; query_timeout: number };
  sign_in_limits: { window_seconds: number; per_account: number; per_address: number };
  records: Record<string, number>;
  last_change: { at: string; user: string | null } | null;
  last_backup: { at: string; bytes: number } | null;
}

export async function readServiceState(): Promise<ServiceState> {
  return (await data(api.GET('/service' as never))) as unknown as ServiceState;
}

// A backup that is older than this deserves a look: one every night leaves a margin.
const MAX_BACKUP_AGE_MS = 48 * 60 * 60 * 1000;

export function isBackupOld({ last_backup: backup }: ServiceState, now: number): boolean {
  return backup === null || now - Date.parse(backup.at) > MAX_BACKUP_AGE_MS;
}
