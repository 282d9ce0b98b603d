/** The service worker, by which the console opens without a network. It needs https, or this machine itself. */
class Worker {
  /** A newer console is here and waits for a press. */
  fresh = $state.raw<ServiceWorker | null>(null);

  async start(): Promise<void> {
    const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;
    if (!container || !import.meta.env.PROD) return;
    const registration = await container.register(address() as string, { updateViaCache: 'none' }).catch(() => undefined);
    // Blocked, or the file was not there: the console works as before, with the network.
    if (!registration) return;
    const look = (): void => void (this.fresh = container.controller ? registration.waiting : null);
    registration.addEventListener('updatefound', () => registration.installing?.addEventListener('statechange', look));
    document.addEventListener('visibilitychange', () => document.hidden || void registration.update().catch(() => undefined));
    look();
  }

  /** Change to the newer console. Drafts are on the disk and stay. */
  change(): void {
    navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
    this.fresh?.postMessage('take over');
  }
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): { createScriptURL(url: string): unknown };
}

/** The worker's address, as trusted types demand it where they are known. */
function address(): unknown {
  const url = '/ui/sw.js';
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  return types?.createPolicy('mm-worker', { createScriptURL: () => url }).createScriptURL(url) ?? url;
}

export const worker = new Worker();
