/** Runs one submission of a form at a time: presses that come before it has ended do nothing. */
export class Submission {
  busy = $state(false);

  async run(work: () => Promise<void>): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    try {
      await work();
    } finally {
      this.busy = false;
    }
  }

  /** The handler of a form's `submit` event. */
  handler(work: () => Promise<void>): (event: SubmitEvent) => void {
    return (event) => {
      event.preventDefault();
      void this.run(work);
    };
  }
}
