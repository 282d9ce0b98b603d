import { BASE, matchRoute } from '../../router/routes';

/**
 * The machine id in the text of a QR label of this console, or null for any other text. Scheme and port may differ: labels are
 * printed once, and a site may move to https later.
 */
export function machineIdOf(text: string, hostname: string): number | null {
  if (!URL.canParse(text)) return null;
  const address = new URL(text);
  const match = address.hostname === hostname && address.pathname.startsWith(`${BASE}/`) ? matchRoute(address.pathname) : null;
  if (match?.route !== 'machineById' || !/^\d{1,15}$/.test(match.parameters.id!)) return null;
  return Number(match.parameters.id);
}
