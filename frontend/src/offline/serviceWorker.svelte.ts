import { BASE } from '../router/routes';

const CHECK_INTERVAL_MS = 30 * 60_000;
const MIN_CHECK_INTERVAL_MS = 60_000;

/** The service worker, which lets the console open without network. Browsers allow it only on https and on localhost. */
class ConsoleWorker {
  /** The worker of a newer build, waiting until the user presses the update button. */
  waiting = $state.raw<ServiceWorker | null>(null);
  #registration: ServiceWorkerRegistration | null = null;
  #isStarted = false;
  #lastCheck = 0;

  /** Register the worker. Only the first call does: the browser refuses a second policy for the worker's address. */
  async start(): Promise<void> {
    if (this.#isStarted) return;
    this.#isStarted = true;
    const container = navigator.serviceWorker as ServiceWorkerContainer | undefined;
    if (!container || !import.meta.env.PROD) return;
    const registration = await container.register(scriptUrl() as string, { updateViaCache: 'none' }).catch(() => undefined);
    // The browser blocked the worker, or the file is missing: the console then simply needs the network.
    if (!registration) return;
    const findWaiting = (): void => void (this.waiting = container.controller ? registration.waiting : null);
    registration.addEventListener('updatefound', () => registration.installing?.addEventListener('statechange', findWaiting));
    this.#registration = registration;
    this.#lastCheck = Date.now();
    document.addEventListener('visibilitychange', () => document.hidden || this.checkForUpdate());
    // A screen that is always visible, such as the wall display, would otherwise never notice a new build.
    setInterval(() => this.checkForUpdate(), CHECK_INTERVAL_MS);
    findWaiting();
  }

  /** Ask the service for a newer build, at most once a minute. */
  checkForUpdate(): void {
    if (!this.#registration || Date.now() - this.#lastCheck < MIN_CHECK_INTERVAL_MS) return;
    this.#lastCheck = Date.now();
    void this.#registration.update().catch(() => undefined);
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
  const url = `${BASE}/sw.js`;
  const types = (globalThis as { trustedTypes?: TrustedTypes }).trustedTypes;
  return types?.createPolicy('mm-worker', { createScriptURL: () => url }).createScriptURL(url) ?? url;
}

export const serviceWorker = new ConsoleWorker();
