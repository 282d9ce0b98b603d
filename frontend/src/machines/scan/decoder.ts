/** Reads the text of a QR code in a frame of a video; null if there is none. */
export type Decoder = (video: HTMLVideoElement) => Promise<string | null>;

// Missing from TypeScript's library, because only some browsers have it.
interface Detector {
  detect(source: HTMLVideoElement): Promise<{ rawValue: string }[]>;
}
declare const BarcodeDetector: (new (options: { formats: string[] }) => Detector) & { getSupportedFormats(): Promise<string[]> };

// A label that fills a fifth of the picture still has several pixels for each square of its code.
const MAX_SIDE = 800;

/** The browser's own decoder, or one in JavaScript, which is loaded only then. */
export async function createDecoder(): Promise<Decoder> {
  if ('BarcodeDetector' in window && (await BarcodeDetector.getSupportedFormats()).includes('qr_code')) {
    const detector = new BarcodeDetector({ formats: ['qr_code'] });
    return async (video) => (await detector.detect(video))[0]?.rawValue ?? null;
  }
  const { default: decodeQr } = await import('qr/decode.js');
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  return async (video) => {
    const scale = Math.min(1, MAX_SIDE / Math.max(video.videoWidth, video.videoHeight));
    [canvas.width, canvas.height] = [Math.round(video.videoWidth * scale), Math.round(video.videoHeight * scale)];
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    try {
      return decodeQr(context.getImageData(0, 0, canvas.width, canvas.height));
    } catch {
      // The package throws if there is no code in the picture, or an unreadable one.
      return null;
    }
  };
}
