/** Backdrops of the subject: transparency, a colour, a picture, or the blurred plate. */

export type Backdrop =
  | { readonly kind: "none" }
  /** A colour of CSS. */
  | { readonly kind: "colour"; readonly colour: string }
  /** Covers the frame; what is too wide or too high is cut off. */
  | { readonly kind: "picture"; readonly picture: ImageBitmap }
  | { readonly kind: "blur" };

type Context = CanvasRenderingContext2D | OffscreenCanvasRenderingContext2D;

/** Paints backdrops; keeps the blurred plate. */
export class BackdropPainter {
  private blurred: { of: CanvasImageSource; picture: OffscreenCanvas } | undefined;

  /** Paints the backdrop over all of `context`; clears it for transparency. */
  paint(context: Context, backdrop: Backdrop, width: number, height: number, plate?: CanvasImageSource): void {
    context.clearRect(0, 0, width, height);
    if (backdrop.kind === "colour") {
      context.fillStyle = backdrop.colour;
      context.fillRect(0, 0, width, height);
    } else if (backdrop.kind === "picture") {
      cover(context, backdrop.picture, width, height);
    } else if (backdrop.kind === "blur" && plate) {
      context.imageSmoothingQuality = "high";
      context.drawImage(this.blur(plate, width, height), 0, 0, width, height);
    }
  }

  /** Blurs by reducing and enlarging in steps: equal in every browser, and cheap. */
  private blur(plate: CanvasImageSource, width: number, height: number): OffscreenCanvas {
    if (this.blurred?.of === plate) return this.blurred.picture;
    let [from, size] = [plate, [width, height] as [number, number]];
    for (const factor of [0.5, 0.5, 0.5, 0.5, 2, 2]) {
      size = [Math.max(2, Math.round(size[0] * factor)), Math.max(2, Math.round(size[1] * factor))];
      const canvas = new OffscreenCanvas(...size);
      const context = canvas.getContext("2d")!;
      context.imageSmoothingQuality = "high";
      context.drawImage(from, 0, 0, ...size);
      from = canvas;
    }
    this.blurred = { of: plate, picture: from as OffscreenCanvas };
    return this.blurred.picture;
  }
}

function cover(context: Context, picture: ImageBitmap, width: number, height: number): void {
  const scale = Math.max(width / picture.width, height / picture.height);
  const [w, h] = [picture.width * scale, picture.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, (width - w) / 2, (height - h) / 2, w, h);
}
