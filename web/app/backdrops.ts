/** Backdrops of the subject: transparency, a colour, a picture, or the blurred plate. */
import { type Backdrop, BackdropPainter } from "../engine/video/backdrop.js";

export type { Backdrop };

const COLOURS: readonly [name: string, colour: string][] = [
  ["White", "#ffffff"],
  ["Charcoal", "#23262d"],
  ["Green", "#00b140"],
  ["Sand", "#e2c9a6"],
  ["Blue", "#3d6fb6"],
];

const ICONS = {
  blur: '<path d="M10 2c3 4 5 6.3 5 9a5 5 0 0 1-10 0c0-2.7 2-5 5-9z"/>',
  colour:
    '<path d="M10 2a8 8 0 1 0 0 16c1.6 0 1.8-1.2 1.2-2.2-.7-1.3.1-2.8 1.7-2.8H15a3 3 0 0 0 3-3c0-4.5-3.6-8-8-8z"/><path d="M6 9v.01M9 6v.01M13 6.5v.01"/>',
  picture:
    '<rect x="2" y="3" width="16" height="14" rx="2"/><path d="m3 15 5-5 4 4 2-2 3 3"/><circle cx="13.5" cy="7" r="1"/>',
};

/** Fills a fieldset with the choices. */
export class BackdropPicker {
  private backdrop: Backdrop = { kind: "none" };
  private readonly painter = new BackdropPainter();

  constructor(
    private readonly place: HTMLFieldSetElement,
    private readonly onChange: (backdrop: Backdrop) => void,
    private readonly onError: (error: unknown) => void,
  ) {
    const legend = document.createElement("legend");
    legend.textContent = "Background";
    place.append(legend);
    this.addChoice("Transparent", { kind: "none" }).swatch.classList.add("checkered");
    for (const [name, colour] of COLOURS) {
      this.addChoice(name, { kind: "colour", colour }).swatch.style.background = colour;
    }
    this.addChoice("Blurred background", { kind: "blur" }, ICONS.blur, "Blur");
    this.addColourInput();
    this.addPictureInput();
    place.querySelector("input")!.checked = true;
  }

  get chosen(): Backdrop {
    return this.backdrop;
  }

  /** Paints the chosen backdrop over all of `context`; clears it for transparency. */
  paint(context: CanvasRenderingContext2D, width: number, height: number, plate: CanvasImageSource | undefined): void {
    this.painter.paint(context, this.backdrop, width, height, plate);
  }

  private choose(backdrop: Backdrop): void {
    this.backdrop = backdrop;
    for (const swatch of this.place.querySelectorAll(".chosen")) swatch.classList.remove("chosen");
    this.onChange(backdrop);
  }

  /** With a text, the swatch and its text are one label. */
  private addSwatch(name: string, input: HTMLInputElement, icon = "", text = ""): HTMLElement {
    const label = document.createElement("label");
    const swatch = text ? document.createElement("span") : label;
    swatch.classList.add("swatch");
    label.title = name;
    input.setAttribute("aria-label", name);
    if (icon) swatch.innerHTML = `<svg viewBox="0 0 20 20" aria-hidden="true">${icon}</svg>`;
    swatch.append(input);
    if (text) {
      label.className = "labelled";
      label.append(swatch, text);
    }
    this.place.append(label);
    return swatch;
  }

  private addChoice(name: string, backdrop: Backdrop, icon = "", text = "") {
    const input = document.createElement("input");
    input.type = "radio";
    input.name = this.place.id;
    input.value = name;
    input.onchange = () => this.choose(backdrop);
    return { input, swatch: this.addSwatch(name, input, icon, text) };
  }

  private addColourInput(): void {
    const input = document.createElement("input");
    input.type = "color";
    input.value = "#7a4fa0";
    const swatch = this.addSwatch("Another colour", input, ICONS.colour, "Colour");
    input.oninput = () => {
      this.uncheck();
      this.choose({ kind: "colour", colour: input.value });
      swatch.classList.add("chosen");
      swatch.style.background = input.value;
    };
  }

  private addPictureInput(): void {
    const input = document.createElement("input");
    input.type = "file";
    input.accept = "image/*";
    const swatch = this.addSwatch("A picture of yours", input, ICONS.picture, "Picture");
    input.onchange = async () => {
      const [file] = input.files ?? [];
      input.value = "";
      if (!file) return;
      try {
        const picture = await createImageBitmap(file);
        this.uncheck();
        this.choose({ kind: "picture", picture });
        swatch.classList.add("chosen");
        swatch.style.backgroundImage = `url(${URL.createObjectURL(file)})`;
      } catch {
        this.onError(new Error(`'${file.name}' is not a picture that this browser can read`));
      }
    };
  }

  private uncheck(): void {
    for (const input of this.place.querySelectorAll<HTMLInputElement>("input:checked")) input.checked = false;
  }
}
