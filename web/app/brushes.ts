/** The two brushes of an easel: strokes by pointer or keyboard, undo, clear. */
import { button, context2d, element } from "./dom.js";
import { say } from "./messages.js";
import { drawStrokes, makeHint, type Point, type Stroke, type StrokeKind } from "./strokes.js";
import type { Tool, Viewer } from "./viewer.js";

const HELP = "Paint over the picture. With the keyboard: arrows move the brush, Space begins and ends a stroke.";
const KINDS = ["add", "remove"] as const;

export class Brushes implements Tool {
  private strokes: Stroke[] = [];
  private current: Stroke | undefined;
  private kind: StrokeKind | undefined;
  private size = { width: 0, height: 0 };
  private cursor: Point = { x: 0, y: 0 };
  private readonly buttons: Readonly<Record<StrokeKind | "undo" | "clear", HTMLButtonElement>>;
  private readonly width: HTMLInputElement;
  private readonly layer = document.createElement("canvas");

  /**
   * @param name Start of the ids of its buttons.
   * @param label Description of the canvas.
   * @param onHint Called after each change of the strokes, with their hint; none without strokes.
   */
  constructor(
    name: string,
    private readonly label: string,
    private readonly viewer: Viewer,
    private readonly canvas: HTMLCanvasElement,
    private readonly onHint: (hint: ImageData | undefined) => void,
  ) {
    const find = (part: string) => button(`${name}-paint-${part}`);
    this.buttons = { add: find("add"), remove: find("remove"), undo: find("undo"), clear: find("clear") };
    this.width = element(`${name}-paint-size`, HTMLInputElement);
    canvas.ariaLabel = label;
    for (const kind of KINDS) {
      this.buttons[kind].onclick = () => this.choose(this.kind === kind ? undefined : kind);
    }
    this.width.oninput = () => viewer.schedule();
    this.buttons.undo.onclick = () => this.undo();
    this.buttons.clear.onclick = () => this.change([]);
  }

  /** Forgets the strokes, for another picture. */
  reset(width: number, height: number): void {
    this.size = { width, height };
    this.cursor = { x: width / 2, y: height / 2 };
    [this.strokes, this.current] = [[], undefined];
    this.choose(undefined);
    this.enable();
  }

  get count(): number {
    return this.strokes.length;
  }

  press(at: Point): void {
    this.cursor = this.keepInside(at);
    this.current = { kind: this.kind!, width: this.brushWidth, points: [this.cursor] };
  }

  move(at: Point, pressed: boolean): void {
    if (this.current && !pressed) return; // a mouse that passes by a stroke of the keyboard
    this.cursor = this.keepInside(at);
    this.current?.points.push(this.cursor);
  }

  release(): void {
    const { current } = this;
    this.current = undefined;
    if (current) this.change([...this.strokes, current]);
  }

  cancel(): void {
    this.current = undefined;
  }

  type(event: KeyboardEvent): boolean {
    const step = Math.max(1, this.brushWidth / 2);
    const by = (x: number, y: number) => () => {
      this.move({ x: this.cursor.x + x * step, y: this.cursor.y + y * step }, true);
      this.viewer.reveal(this.cursor);
    };
    const actions: Record<string, () => void> = {
      ArrowLeft: by(-1, 0),
      ArrowRight: by(1, 0),
      ArrowUp: by(0, -1),
      ArrowDown: by(0, 1),
      " ": () => this.toggleStroke(),
      Escape: () => (this.current ? this.cancel() : this.choose(undefined)),
    };
    const undo = event.key === "z" && (event.ctrlKey || event.metaKey);
    const action = undo ? () => this.undo() : actions[event.key];
    action?.();
    return action !== undefined;
  }

  /** Draws the strokes half transparent, and the brush as a circle. */
  draw(context: CanvasRenderingContext2D, left: number, top: number, scale: number): void {
    const { layer } = this;
    layer.width = context.canvas.width;
    layer.height = context.canvas.height;
    const over = context2d(layer);
    over.setTransform(context.getTransform());
    over.translate(left, top);
    over.scale(scale, scale);
    drawStrokes(over, this.current ? [...this.strokes, this.current] : this.strokes, 1.5 / scale);
    context.save();
    context.globalAlpha = 0.5;
    context.resetTransform();
    context.drawImage(layer, 0, 0);
    context.restore();
    context.save();
    context.lineWidth = 1.5;
    for (const [colour, grown] of [
      ["#fff", 0],
      ["#000", 1.5],
    ] as const) {
      context.strokeStyle = colour;
      context.beginPath();
      const radius = (this.brushWidth / 2) * scale + grown;
      context.arc(left + this.cursor.x * scale, top + this.cursor.y * scale, radius, 0, 2 * Math.PI);
      context.stroke();
    }
    context.restore();
  }

  /** Diameter of the brush in pixels of the picture; the slider has thousandths of the longer side. */
  private get brushWidth(): number {
    return (Number(this.width.value) / 1000) * Math.max(this.size.width, this.size.height);
  }

  private keepInside({ x, y }: Point): Point {
    const { width, height } = this.size;
    return { x: Math.min(Math.max(x, 0), width), y: Math.min(Math.max(y, 0), height) };
  }

  private choose(kind: StrokeKind | undefined): void {
    this.kind = kind;
    this.cancel();
    for (const each of KINDS) {
      const pressed = String(each === kind);
      if (this.buttons[each].ariaPressed !== pressed) this.buttons[each].ariaPressed = pressed;
    }
    // With a brush, the arrow keys belong to the picture, so that screen readers must pass them on.
    this.canvas.role = kind ? "application" : "img";
    this.canvas.ariaLabel = kind ? `${this.label}. ${HELP}` : this.label;
    this.viewer.use(kind ? this : undefined);
    if (kind) say(HELP);
  }

  private toggleStroke(): void {
    if (this.current) {
      this.release();
      return;
    }
    this.press(this.cursor);
    say("Stroke begun.");
  }

  private undo(): void {
    if (this.strokes.length) this.change(this.strokes.slice(0, -1));
  }

  private change(strokes: Stroke[]): void {
    this.strokes = strokes;
    this.enable();
    this.viewer.schedule();
    this.onHint(strokes.length ? makeHint(strokes, this.size) : undefined);
  }

  private enable(): void {
    const none = !this.strokes.length;
    for (const each of [this.buttons.undo, this.buttons.clear]) {
      // A disabled button loses the focus: hand it to the picture's brush.
      if (none && document.activeElement === each) this.buttons[this.kind ?? "add"].focus();
      each.disabled = none;
    }
  }
}
