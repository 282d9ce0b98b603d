/** Whether the service can be reached. Every API call updates it; `navigator.onLine` alone says "online" too often. */
class Network {
  isOffline = $state(!navigator.onLine);
  /** When the data on screen was read, in milliseconds, if it is a copy from before the network was lost. */
  copiedAt = $state<number | null>(null);

  constructor() {
    addEventListener('offline', () => (this.isOffline = true));
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
