import { api, data, type Schemas } from '../api/client';

export type ServiceState = Schemas['ServiceState'];

export async function readServiceState(): Promise<ServiceState> {
  return data(api.GET('/service'));
}

// A backup that is older than this deserves a look: one every night leaves a margin.
const MAX_BACKUP_AGE_MS = 48 * 60 * 60 * 1000;

export function isBackupOld({ last_backup: backup }: ServiceState, now: number): boolean {
  return backup === null || now - Date.parse(backup.at) > MAX_BACKUP_AGE_MS;
}
