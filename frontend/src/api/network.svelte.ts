// Responses lead to the next requests, for example from a record to its history.
const QUIET_MS = 50;

/** Whether the service can be reached. Every API call updates it; `navigator.onLine` alone says "online" too often. */
class Network {
  isOffline = $state(!navigator.onLine);
  /** When the data on screen was read, in milliseconds, if it is a copy from before the network was lost. */
  copiedAt = $state<number | null>(null);
  /** How many requests wait for their response. */
  #pending = 0;

  constructor() {
    addEventListener('offline', () => (this.isOffline = true));
  }

  /** Count a request as long as it waits for its response. */
  track<T>(request: Promise<T>): Promise<T> {
    this.#pending += 1;
    return request.finally(() => (this.#pending -= 1));
  }

  /** Resolves when no request has been waiting for a moment. */
  async whenQuiet(): Promise<void> {
    do await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    while (this.#pending);
  }

  setOnline(): void {
    this.isOffline = false;
    this.copiedAt = null;
  }

  /** `copiedAt` is the age of the copy that stands in for a response, if there is one. */
  setOffline(copiedAt: number | null): void {
    this.isOffline = true;
    this.copiedAt = copiedAt ?? this.copiedAt;
  }
}

export const network = new Network();
