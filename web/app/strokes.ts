/** Brush strokes over a picture, and the hint that they make. */
import { context2d } from "./dom.js";

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** `add`: subject; `remove`: background. */
export type StrokeKind = "add" | "remove";

export interface Stroke {
  readonly kind: StrokeKind;
  /** Of the brush, in pixels of the picture. */
  readonly width: number;
  readonly points: Point[];
}

/** Longer side of the hint: twice that to which the engine reduces it. */
const HINT_SIDE = 960;

const COLOURS: Readonly<Record<StrokeKind, string>> = { add: "#fff", remove: "#000" };

/** Paints strokes in the order they were made, in the picture's coordinates. */
export function paintStrokes(
  context: CanvasRenderingContext2D,
  strokes: readonly Stroke[],
  look: (stroke: Stroke) => { colour: string; width: number },
): void {
  context.lineCap = context.lineJoin = "round";
  for (const stroke of strokes) {
    const { colour, width } = look(stroke);
    context.strokeStyle = context.fillStyle = colour;
    context.lineWidth = width;
    context.beginPath();
    const [first, ...rest] = stroke.points;
    context.arc(first!.x, first!.y, width / 2, 0, 2 * Math.PI); // a canvas draws no line of length 0
    context.fill();
    context.beginPath();
    context.moveTo(first!.x, first!.y);
    for (const { x, y } of rest) context.lineTo(x, y);
    context.stroke();
  }
}

/** White strokes for the subject and black ones for the background, elsewhere transparent. */
export function makeHint(strokes: readonly Stroke[], { width, height }: { width: number; height: number }): ImageData {
  const scale = Math.min(1, HINT_SIDE / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = context2d(canvas, { willReadFrequently: true });
  context.scale(canvas.width / width, canvas.height / height);
  paintStrokes(context, strokes, ({ kind, width }) => ({ colour: COLOURS[kind], width }));
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/** The strokes as the visitor sees them: white and black, each with a rim of the other colour. */
export function drawStrokes(context: CanvasRenderingContext2D, strokes: readonly Stroke[], rim: number): void {
  for (const stroke of strokes) {
    const other = COLOURS[stroke.kind === "add" ? "remove" : "add"];
    paintStrokes(context, [stroke], ({ width }) => ({ colour: other, width: width + 2 * rim }));
    paintStrokes(context, [stroke], ({ kind, width }) => ({ colour: COLOURS[kind], width }));
  }
}
