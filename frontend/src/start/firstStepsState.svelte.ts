import { readLocalText, writeLocalText } from '../device/localStorage';

const VISIBILITY_KEY = 'mm.first-steps';
const LABELS_KEY = 'mm.labels-printed';

/** What this browser stores about the first steps. The steps themselves are a separate chunk, which most visits never load. */
class FirstStepsState {
  /** `open` once the list was shown, `closed` once it was hidden or everything was done; null on the first visit. */
  visibility = $state(readLocalText(VISIBILITY_KEY));
  /** Whether labels were printed from this browser: the service does not know. */
  labelsPrinted = $state(readLocalText(LABELS_KEY) !== null);

  setVisibility(visibility: 'open' | 'closed'): void {
    this.visibility = visibility;
    writeLocalText(VISIBILITY_KEY, visibility);
  }

  recordLabelsPrinted(): void {
    this.labelsPrinted = true;
    writeLocalText(LABELS_KEY, 'yes');
  }
}

export const firstStepsState = new FirstStepsState();
