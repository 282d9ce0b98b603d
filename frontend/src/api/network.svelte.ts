/** Whether the last request had an answer. What the browser says of its network is a guess; this is not. */
class Network {
  away = $state(!navigator.onLine);

  constructor() {
    addEventListener('offline', () => (this.away = true));
  }
}

export const network = new Network();
