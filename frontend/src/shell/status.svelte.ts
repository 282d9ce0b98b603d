import { asApiError } from '../api/error';
import { errorText } from '../i18n/errorText';

interface Message {
  text: string;
  isError: boolean;
  action?: { label: string; run: () => void };
}

const SECONDS = 6;

/** The status message at the bottom of the page; screen readers announce it. An error stays until the next message. */
class Status {
  message = $state.raw<Message | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;

  show(text: string, action?: Message['action']): void {
    this.#setMessage({ text, isError: false, ...(action && { action }) });
    this.#timer = setTimeout(() => this.clear(), SECONDS * 1000);
  }

  /** Show an `ApiError`. Any other value is a bug in the console and is thrown again. A missing network is not shown as an alarm. */
  showError(thrown: unknown, action?: Message['action']): void {
    const error = asApiError(thrown);
    if (error.code === 'offline') this.show(errorText(error));
    else this.#setMessage({ text: errorText(error), isError: true, ...(action && { action }) });
  }

  /**
   * Show an error of a request that the user did not ask for. Without network nothing is shown: the navigation says so already,
   * and the page works with what it has.
   */
  showBackgroundError(thrown: unknown): void {
    if (asApiError(thrown).code !== 'offline') this.showError(thrown);
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.message = null;
  }

  #setMessage(message: Message): void {
    clearTimeout(this.#timer);
    this.message = message;
  }
}

export const status = new Status();
