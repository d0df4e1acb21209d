/** Before and after on one canvas, divided by a line that can be moved; zoom and pan. */
import { context2d } from "./dom.js";

export interface Compared {
  readonly width: number;
  readonly height: number;
  readonly before: CanvasImageSource;
  readonly after: CanvasImageSource;
}

/** Takes pointers and keys in place of the line and of panning; points are in pixels of the picture. */
export interface Tool {
  press(at: { x: number; y: number }): void;
  move(at: { x: number; y: number }, pressed: boolean): void;
  release(): void;
  cancel(): void;
  /** Tells whether the key was for it. */
  type(event: KeyboardEvent): boolean;
  /** Draws over the picture, whose corner and scale are in CSS pixels. */
  draw(context: CanvasRenderingContext2D, left: number, top: number, scale: number): void;
}

const MOST_ZOOM = 16;
const STEP = 1.5;

/** Distance in CSS pixels within which a finger grips the dividing line in a zoomed picture. */
const GRIP = 28;

export class Viewer {
  private compared: Compared | undefined;
  private split = 0.5;
  /** CSS pixels per picture pixel is `fit * zoom`; the picture's point at the canvas's centre. */
  private zoom = 1;
  private centre = { x: 0, y: 0 };
  private readonly pointers = new Map<number, { x: number; y: number }>();
  private dragging: "split" | "pan" | "tool" | undefined;
  private tool: Tool | undefined;
  private scheduled = false;

  constructor(
    private readonly canvas: HTMLCanvasElement,
    private readonly onChange: (split: number, zoom: number | undefined) => void,
  ) {
    new ResizeObserver(() => this.schedule()).observe(canvas);
    canvas.addEventListener("pointerdown", (event) => this.press(event));
    canvas.addEventListener("pointermove", (event) => this.drag(event));
    for (const kind of ["pointerup", "pointercancel"] as const) {
      canvas.addEventListener(kind, ({ pointerId }) => {
        this.pointers.delete(pointerId);
        if (this.dragging === "tool" && kind === "pointerup") this.tool?.release();
        else this.tool?.cancel();
        this.dragging = undefined;
      });
    }
    canvas.addEventListener("wheel", (event) => this.roll(event), { passive: false });
    canvas.addEventListener("dblclick", (event) => {
      if (this.tool) return;
      if (this.zoom > 1) this.reset();
      else this.zoomTo(1 / this.fit, this.toPicture(event.offsetX, event.offsetY));
    });
    canvas.addEventListener("keydown", (event) => this.type(event));
  }

  show(compared: Compared): void {
    const same = this.compared?.width === compared.width && this.compared.height === compared.height;
    this.compared = compared;
    this.canvas.style.aspectRatio = `${compared.width} / ${compared.height}`;
    if (!same) this.reset();
    this.schedule();
  }

  use(tool: Tool | undefined): void {
    this.tool = tool;
    this.canvas.classList.toggle("painting", tool !== undefined);
    this.schedule();
  }

  /** Pans so that a point of the picture is visible. */
  reveal(point: { x: number; y: number }): void {
    const [start, end] = [this.toPicture(0, 0), this.toPicture(this.canvas.clientWidth, this.canvas.clientHeight)];
    if (point.x < start.x || point.x > end.x || point.y < start.y || point.y > end.y) this.centre = { ...point };
    this.schedule();
  }

  setSplit(split: number): void {
    this.split = split;
    this.schedule();
  }

  zoomBy(steps: number): void {
    this.zoomTo(this.zoom * STEP ** steps, this.centre);
  }

  /** Shows a point of the picture, with at least one screen pixel for each of its pixels. */
  lookAt(x: number, y: number): void {
    this.centre = { x, y };
    this.zoomTo(Math.max(1 / this.fit / devicePixelRatio, 4), this.centre);
  }

  reset(): void {
    const { width = 0, height = 0 } = this.compared ?? {};
    this.centre = { x: width / 2, y: height / 2 };
    this.zoomTo(1, this.centre);
  }

  private get fit(): number {
    const { width = 1, height = 1 } = this.compared ?? {};
    return Math.min(this.canvas.clientWidth / width, this.canvas.clientHeight / height) || 1;
  }

  private toPicture(x: number, y: number): { x: number; y: number } {
    const scale = this.fit * this.zoom;
    return {
      x: this.centre.x + (x - this.canvas.clientWidth / 2) / scale,
      y: this.centre.y + (y - this.canvas.clientHeight / 2) / scale,
    };
  }

  /** Zooms so that `fixed` stays where it is on the screen. */
  private zoomTo(zoom: number, fixed: { x: number; y: number }): void {
    const next = Math.min(Math.max(zoom, 1), MOST_ZOOM);
    const ratio = this.zoom / next;
    this.centre = { x: fixed.x + (this.centre.x - fixed.x) * ratio, y: fixed.y + (this.centre.y - fixed.y) * ratio };
    this.zoom = next;
    this.canvas.classList.toggle("zoomed", next > 1);
    this.schedule();
  }

  private press(event: PointerEvent): void {
    this.canvas.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, { x: event.offsetX, y: event.offsetY });
    if (this.tool) {
      this.pressTool(this.tool, event);
      return;
    }
    const near = Math.abs(event.offsetX - this.split * this.canvas.clientWidth) < GRIP;
    this.dragging = this.zoom === 1 || near ? "split" : "pan";
    if (this.dragging === "split" && this.pointers.size === 1) this.moveSplit(event.offsetX);
  }

  /** One finger or the first button is for the tool; a second finger zooms. */
  private pressTool(tool: Tool, event: PointerEvent): void {
    tool.cancel();
    this.dragging = undefined;
    if (this.pointers.size === 1 && event.button === 0) {
      this.dragging = "tool";
      tool.press(this.toPicture(event.offsetX, event.offsetY));
    }
    this.schedule();
  }

  private drag(event: PointerEvent): void {
    const last = this.pointers.get(event.pointerId);
    const now = { x: event.offsetX, y: event.offsetY };
    if (this.tool && this.pointers.size < 2) {
      this.tool.move(this.toPicture(now.x, now.y), this.dragging === "tool");
      this.schedule();
    }
    if (!last) return;
    if (this.pointers.size === 2) {
      const [other] = [...this.pointers].filter(([id]) => id !== event.pointerId).map(([, point]) => point);
      const spread = (point: { x: number; y: number }) => Math.hypot(point.x - other!.x, point.y - other!.y);
      this.zoomTo((this.zoom * spread(now)) / Math.max(spread(last), 1), this.toPicture(other!.x, other!.y));
    } else if (this.dragging === "split") {
      this.moveSplit(now.x);
    } else if (this.dragging === "pan") {
      this.pan(last.x - now.x, last.y - now.y);
    }
    this.pointers.set(event.pointerId, now);
  }

  private moveSplit(x: number): void {
    this.split = Math.min(Math.max(x / this.canvas.clientWidth, 0), 1);
    this.schedule();
  }

  private pan(x: number, y: number): void {
    const scale = this.fit * this.zoom;
    this.centre = { x: this.centre.x + x / scale, y: this.centre.y + y / scale };
    this.schedule();
  }

  /** A wheel alone scrolls the page, as everywhere; with Ctrl, or pinched on a trackpad, it zooms. */
  private roll(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.zoomTo(this.zoom * Math.exp(-event.deltaY / 200), this.toPicture(event.offsetX, event.offsetY));
  }

  private type(event: KeyboardEvent): void {
    if (this.tool?.type(event)) {
      event.preventDefault();
      this.schedule();
      return;
    }
    const step = 40;
    const moves: Record<string, () => void> = {
      ArrowLeft: () =>
        this.zoom > 1 ? this.pan(-step, 0) : this.moveSplit((this.split - 0.02) * this.canvas.clientWidth),
      ArrowRight: () =>
        this.zoom > 1 ? this.pan(step, 0) : this.moveSplit((this.split + 0.02) * this.canvas.clientWidth),
      ArrowUp: () => this.pan(0, -step),
      ArrowDown: () => this.pan(0, step),
      "+": () => this.zoomBy(1),
      "-": () => this.zoomBy(-1),
      "0": () => this.reset(),
    };
    const move = moves[event.key];
    if (!move || (this.zoom === 1 && (event.key === "ArrowUp" || event.key === "ArrowDown"))) return;
    event.preventDefault();
    move();
  }

  schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    requestAnimationFrame(() => {
      this.scheduled = false;
      this.draw();
    });
  }

  private draw(): void {
    const { canvas, compared } = this;
    const { clientWidth: width, clientHeight: height } = canvas;
    if (!compared || !width || !height) return;
    const density = devicePixelRatio || 1;
    const [pixelWidth, pixelHeight] = [Math.round(width * density), Math.round(height * density)];
    if (canvas.width !== pixelWidth || canvas.height !== pixelHeight) {
      canvas.width = pixelWidth;
      canvas.height = pixelHeight;
    }
    this.keepInside(width, height);
    const context = context2d(canvas);
    const scale = this.fit * this.zoom;
    const [left, top] = [width / 2 - this.centre.x * scale, height / 2 - this.centre.y * scale];
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
    context.imageSmoothingEnabled = scale * density < 3;
    context.imageSmoothingQuality = "high";
    context.drawImage(compared.after, left, top, compared.width * scale, compared.height * scale);
    const line = this.split * width;
    context.save();
    context.beginPath();
    context.rect(0, 0, line, height);
    context.clip();
    context.clearRect(0, 0, line, height);
    context.drawImage(compared.before, left, top, compared.width * scale, compared.height * scale);
    context.restore();
    this.tool?.draw(context, left, top, scale);
    drawLine(context, line, height);
    this.onChange(this.split, this.zoom > 1 ? scale * density : undefined);
  }

  private keepInside(width: number, height: number): void {
    const { compared } = this;
    const scale = this.fit * this.zoom;
    const clamp = (value: number, size: number, shown: number) =>
      size * scale <= shown ? size / 2 : Math.min(Math.max(value, shown / 2 / scale), size - shown / 2 / scale);
    this.centre = {
      x: clamp(this.centre.x, compared!.width, width),
      y: clamp(this.centre.y, compared!.height, height),
    };
  }
}

function drawLine(context: CanvasRenderingContext2D, x: number, height: number): void {
  context.fillStyle = "rgb(0 0 0 / 35%)";
  context.fillRect(x - 2, 0, 4, height);
  context.fillStyle = "#fff";
  context.fillRect(x - 1, 0, 2, height);
  context.beginPath();
  context.arc(x, height / 2, 15, 0, 2 * Math.PI);
  context.fill();
  context.strokeStyle = "#3a3d44";
  context.lineWidth = 2;
  context.lineJoin = context.lineCap = "round";
  context.beginPath();
  for (const side of [-1, 1]) {
    context.moveTo(x + side * 4, height / 2 - 5);
    context.lineTo(x + side * 9, height / 2);
    context.lineTo(x + side * 4, height / 2 + 5);
  }
  context.stroke();
}
