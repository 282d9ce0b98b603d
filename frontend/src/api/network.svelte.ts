/** Whether the service can be reached. Every API call updates it; `navigator.onLine` alone says "online" too often. */
class Network {
  isOffline = $state(!navigator.onLine);

  constructor() {
    addEventListener('offline', () => (this.isOffline = true));
  }
}

export const network = new Network();
