import { readLocalText, writeLocalText } from '../api/localStorage';

// Browsers hold these values under these keys.
const KEY = 'mm.first-steps';
const LABELS_KEY = 'mm.labels-printed';

/** Whether this browser shows the list of first steps. It is apart from the list, which most visits never load. */
class FirstStepsGate {
  /** `open` once the list was shown, `closed` once it was hidden or everything was done; null on the first visit. */
  state = $state(readLocalText(KEY));
  /** Whether labels were printed from this browser: the service does not know. */
  labelsPrinted = $state(readLocalText(LABELS_KEY) !== null);

  set(state: 'open' | 'closed'): void {
    this.state = state;
    writeLocalText(KEY, state);
  }

  noteLabelsPrinted(): void {
    this.labelsPrinted = true;
    writeLocalText(LABELS_KEY, 'yes');
  }
}

export const firstStepsGate = new FirstStepsGate();
