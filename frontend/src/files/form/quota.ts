/** The bytes that this site may still store on this device; null if the browser does not say. */
export async function freeBytes(): Promise<number | null> {
  try {
    const { quota, usage } = await navigator.storage.estimate();
    return quota === undefined || usage === undefined ? null : Math.max(0, quota - usage);
  } catch {
    return null;
  }
}

/** Warn when less than this is left: about ten photos of a phone. */
export const LOW_BYTES = 50 * 1024 * 1024;
