import type { ApiError } from '../../api/error';
import { errorText } from '../../i18n/errorText';
import type { Messages } from '../../i18n/en';

/** Why the service refused a file, as a sentence for the user. */
export function uploadRefusal(error: ApiError, t: Messages['imports']): string {
  if (error.code === 'payload-too-large') return t.tooLarge;
  if (error.code === 'files-unavailable') return t.noStore;
  // Supervisors import everything else.
  if (error.code === 'forbidden') return t.needsAdmin;
  return error.fieldErrors.map(({ message }) => message).join(' ') || errorText(error);
}
