import { asFailure } from '../api/failure';
import { failureText } from '../words/faults';

interface Message {
  text: string;
  wrong: boolean;
  action?: { label: string; run: () => void };
}

const SECONDS = 6;

/** What just happened, said in one fixed place and read out; what went wrong stays until something else is said. */
class Status {
  message = $state.raw<Message | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;

  say(text: string, action?: Message['action']): void {
    this.#show({ text, wrong: false, ...(action && { action }) });
    this.#timer = setTimeout(() => this.clear(), SECONDS * 1000);
  }

  /** Tell of something that was thrown; a fault of our own is thrown on. */
  fail(thrown: unknown): void {
    this.#show({ text: failureText(asFailure(thrown)), wrong: true });
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.message = null;
  }

  #show(message: Message): void {
    clearTimeout(this.#timer);
    this.message = message;
  }
}

export const status = new Status();
