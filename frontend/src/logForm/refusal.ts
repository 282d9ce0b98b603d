import { ApiError } from '../api/error';
import { ON_HOLD, type QueuedWrite } from '../offline/queue';

/** Why the service refused a new log, for its form. Null if it did not: the user has opened a log that waits. */
export function refusalOf(item: QueuedWrite): ApiError | null {
  const refused = item.refused;
  if (!refused || refused.code === ON_HOLD) return null;
  // The log asked for its machine to be created, but the site does not allow that. The console could not know this without network.
  const isClosedList = item.kind === 'create' && item.body.unlisted === true;
  const errors = (refused.errors ?? []).map((one) => (isClosedList && one.code === 'unknown-machine' ? { ...one, code: 'unlisted-off' } : one));
  return new ApiError({ ...refused, errors });
}
