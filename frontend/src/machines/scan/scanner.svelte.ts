import { createDecoder } from './decoder';

export type ScannerState = 'starting' | 'running' | 'noHttps' | 'noCamera' | 'cameraDenied';

// Fast enough for a hand that moves, and slow enough for a cheap phone.
const INTERVAL_MS = 150;

/** Reads QR codes from the camera, from `start` to `stop`. */
export class Scanner {
  state = $state<ScannerState>('starting');
  #stream: MediaStream | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isStopped = false;

  /** Show the camera in a video, and call `onread` with the text of each code until it returns true. */
  async start(video: HTMLVideoElement, onread: (text: string) => Promise<boolean>): Promise<void> {
    // Browsers offer the camera to https and to the own machine only.
    if (!navigator.mediaDevices) {
      this.state = isSecureContext ? 'noCamera' : 'noHttps';
      return;
    }
    try {
      this.#stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' }, audio: false });
    } catch (thrown) {
      this.state = thrown instanceof DOMException && thrown.name === 'NotAllowedError' ? 'cameraDenied' : 'noCamera';
      return;
    }
    // The user may have closed the scanner while the browser asked for permission.
    if (this.#isStopped) return this.stop();
    video.srcObject = this.#stream;
    const decode = await createDecoder();
    this.state = 'running';
    const step = async (): Promise<void> => {
      const text = this.#isStopped || video.readyState < video.HAVE_CURRENT_DATA ? null : await decode(video);
      if (text && !this.#isStopped && (await onread(text))) return this.stop();
      if (!this.#isStopped) this.#timer = setTimeout(() => void step(), INTERVAL_MS);
    };
    void step();
  }

  /** Switch the camera off. */
  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
  }
}
