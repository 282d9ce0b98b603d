/** The service worker, which lets the console open without network. Browsers allow it only on https and on localhost. */
class ConsoleWorker {
  /** The worker of a newer build, waiting until the user presses the update button. */
  waiting = $state.raw<ServiceWorker | null>(null);

  async start(): Promise<void> {
    const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;
    if (!container || !import.meta.env.PROD) return;
    const registration = await container.register(scriptUrl() as string, { updateViaCache: 'none' }).catch(() => undefined);
    // The browser blocked the worker, or the file is missing: the console then simply needs the network.
    if (!registration) return;
    const findWaiting = (): void => void (this.waiting = container.controller ? registration.waiting : null);
    registration.addEventListener('updatefound', () => registration.installing?.addEventListener('statechange', findWaiting));
    document.addEventListener('visibilitychange', () => document.hidden || void registration.update().catch(() => undefined));
    findWaiting();
  }

  /** Switch to the newer build and reload the page. Drafts are on the disk and survive. */
  activateUpdate(): void {
    navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
    // A page of one build sends this to the worker of the next, so this text must never change.
    this.waiting?.postMessage('take over');
  }
}

interface TrustedTypes {
  createPolicy(name: string, rules: { createScriptURL: (url: string) => string }): { createScriptURL(url: string): unknown };
}

/** The worker's URL, wrapped as a trusted type where the browser requires one. */
function scriptUrl(): unknown {
  const url = '/ui/sw.js';
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  return types?.createPolicy('mm-worker', { createScriptURL: () => url }).createScriptURL(url) ?? url;
}

export const serviceWorker = new ConsoleWorker();
