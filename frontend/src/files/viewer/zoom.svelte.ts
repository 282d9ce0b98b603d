const MAX_SCALE = 8;
const STEP = 1.5;
/** The scale of a double click or double tap. */
const CLOSE_UP = 2.5;
/** A swipe is at least this long, in pixels, and more sideways than up or down. */
const SWIPE = 48;
const DOUBLE_TAP_MS = 400;

interface Point {
  x: number;
  y: number;
}

/** The zoom of a picture in a stage that it fills: by wheel, pinch, double tap and keys. A swipe turns the page while it is not zoomed. */
export class Zoom {
  scale = $state(1);
  /** How far the picture is moved from the middle, in pixels. */
  offset = $state.raw<Point>({ x: 0, y: 0 });
  transform = $derived(`translate(${this.offset.x}px, ${this.offset.y}px) scale(${this.scale})`);
  #stage: () => HTMLElement;
  #onSwipe: (direction: 1 | -1) => void;
  /** The fingers or the mouse button that are down, by pointer. */
  #pointers = new Map<number, Point>();
  #start: Point = { x: 0, y: 0 };
  #wasPinched = false;
  #lastTap = 0;
  #isTouch = false;

  constructor(stage: () => HTMLElement, onSwipe: (direction: 1 | -1) => void) {
    this.#stage = stage;
    this.#onSwipe = onSwipe;
  }

  reset(): void {
    this.scale = 1;
    this.offset = { x: 0, y: 0 };
  }

  /** Zoom in or out by one step, around the middle. */
  step(direction: 1 | -1): void {
    this.#zoomAt({ x: 0, y: 0 }, this.scale * STEP ** direction);
  }

  onwheel = (event: WheelEvent): void => {
    event.preventDefault();
    this.#zoomAt(this.#fromMiddle(event), this.scale * STEP ** (-Math.sign(event.deltaY) / 2));
  };

  /** Some browsers make a double click of two taps, which `#tap` sees as well. */
  ondblclick = (event: MouseEvent): void => {
    if (!this.#isTouch) this.#toggle(event);
  };

  onpointerdown = (event: PointerEvent): void => {
    this.#pointers.set(event.pointerId, this.#fromMiddle(event));
    this.#stage().setPointerCapture(event.pointerId);
    this.#isTouch = event.pointerType === 'touch';
    if (this.#pointers.size > 1) this.#wasPinched = true;
    else [this.#start, this.#wasPinched] = [this.#fromMiddle(event), false];
  };

  onpointermove = (event: PointerEvent): void => {
    const before = this.#pointers.get(event.pointerId);
    if (!before) return;
    const now = this.#fromMiddle(event);
    const other = [...this.#pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.#pointers.set(event.pointerId, now);
    if (other) {
      this.#zoomAt(middleOf(other, now), (this.scale * distance(other, now)) / Math.max(1, distance(other, before)));
    } else if (this.scale > 1) {
      this.#moveTo({ x: this.offset.x + now.x - before.x, y: this.offset.y + now.y - before.y });
    }
  };

  onpointerup = (event: PointerEvent): void => {
    if (!this.#pointers.delete(event.pointerId) || this.#pointers.size || this.#wasPinched) return;
    const end = this.#fromMiddle(event);
    const [x, y] = [end.x - this.#start.x, end.y - this.#start.y];
    if (this.scale === 1 && Math.abs(x) > SWIPE && Math.abs(x) > Math.abs(y)) this.#onSwipe(x < 0 ? 1 : -1);
    else if (this.#isTouch && Math.hypot(x, y) < SWIPE / 4) this.#tap(event);
  };

  onpointercancel = (event: PointerEvent): void => void this.#pointers.delete(event.pointerId);

  #tap(event: PointerEvent): void {
    const isSecond = event.timeStamp - this.#lastTap < DOUBLE_TAP_MS;
    this.#lastTap = isSecond ? 0 : event.timeStamp;
    if (isSecond) this.#toggle(event);
  }

  #toggle(event: MouseEvent): void {
    if (this.scale > 1) this.reset();
    else this.#zoomAt(this.#fromMiddle(event), CLOSE_UP);
  }

  /** Change the scale so that the picture's point under `at` stays there. */
  #zoomAt(at: Point, wanted: number): void {
    const scale = clamp(wanted, 1, MAX_SCALE);
    const factor = scale / this.scale;
    this.scale = scale;
    this.#moveTo({ x: at.x - (at.x - this.offset.x) * factor, y: at.y - (at.y - this.offset.y) * factor });
  }

  /** Move the picture, at most to the edge of the stage. */
  #moveTo({ x, y }: Point): void {
    const { clientWidth, clientHeight } = this.#stage();
    const [maxX, maxY] = [(clientWidth * (this.scale - 1)) / 2, (clientHeight * (this.scale - 1)) / 2];
    this.offset = { x: clamp(x, -maxX, maxX), y: clamp(y, -maxY, maxY) };
  }

  #fromMiddle({ clientX, clientY }: MouseEvent): Point {
    const { left, top, width, height } = this.#stage().getBoundingClientRect();
    return { x: clientX - left - width / 2, y: clientY - top - height / 2 };
  }
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

function distance(one: Point, other: Point): number {
  return Math.hypot(one.x - other.x, one.y - other.y);
}

function middleOf(one: Point, other: Point): Point {
  return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
}
