/** The element with this id, of this kind; the page and its code were built together. */
export function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`#${id} is not there`);
  return found;
}

export const button = (id: string): HTMLButtonElement => element(id, HTMLButtonElement);

/** Saves a file under a name, like a download link. */
export function download(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** `photo.jpg` becomes `photo.cleanplate.png`. */
export function resultName(name: string, extension: string): string {
  return `${name.replace(/\.[^.]*$/, "") || "cutout"}.cleanplate.${extension}`;
}

export function context2d(canvas: HTMLCanvasElement, settings?: CanvasRenderingContext2DSettings) {
  const context = canvas.getContext("2d", settings);
  if (!context) throw new RangeError("out of memory: no canvas");
  return context;
}
