/** The path below which a proxy publishes the service (MM_ROOT_PATH), such as `/plant`; empty without one. The page contains it. */
export const ROOT_PATH = globalThis.document?.documentElement.dataset.rootPath ?? '';

/**
 * The name under which this console stores something in the browser. Consoles below other prefixes of the same host share the
 * browser's storage: one must not send what waits in the other.
 */
export function storageName(name: string): string {
  return ROOT_PATH ? `${name}@${ROOT_PATH}` : name;
}
