/** Slot to drop, paste or choose a file, with a preview of it. */
export interface SlotOptions {
  readonly id: string;
  readonly title: string;
  readonly hint: string;
  readonly accept: "image/*" | "video/*";
  readonly onChange: () => void;
}

export class Slot {
  readonly root: HTMLElement;
  private readonly input = document.createElement("input");
  private readonly words = document.createElement("span");
  private current: File | undefined;

  constructor(private readonly options: SlotOptions) {
    this.root = document.createElement("label");
    this.root.className = "slot";
    this.input.type = "file";
    this.input.id = options.id;
    this.input.accept = options.accept;
    this.input.setAttribute("aria-label", `${options.title}: ${options.hint}`);
    this.words.className = "words";
    this.root.append(this.words, this.input);
    this.input.onchange = () => {
      const [file] = this.input.files ?? [];
      this.input.value = ""; // the same file again is a change, too
      if (file) this.take(file);
    };
    for (const kind of ["dragover", "dragleave", "drop"]) {
      this.root.addEventListener(kind, (event) => {
        event.preventDefault();
        this.root.classList.toggle("over", kind === "dragover");
        const [file] = kind === "drop" ? ((event as DragEvent).dataTransfer?.files ?? []) : [];
        if (file) this.take(file);
      });
    }
    this.show();
  }

  get file(): File | undefined {
    return this.current;
  }

  /** Takes a file as if it were chosen here; `quietly` without calling listeners. */
  take(file: File | undefined, quietly = false): void {
    this.current = file;
    this.show();
    if (!quietly) this.options.onChange();
  }

  private show(): void {
    const { title, hint } = this.options;
    this.root.querySelectorAll("img, video").forEach((old) => {
      URL.revokeObjectURL((old as HTMLImageElement | HTMLVideoElement).src);
      old.remove();
    });
    this.root.classList.toggle("filled", Boolean(this.current));
    const strong = document.createElement("b");
    strong.textContent = title;
    const small = document.createElement("small");
    small.textContent = this.current ? ` ${this.current.name}` : hint;
    this.words.replaceChildren(strong, ...(this.current ? [] : [document.createElement("br")]), small);
    if (this.current) this.root.prepend(this.preview(this.current));
  }

  private preview(file: File): HTMLElement {
    const view = document.createElement(file.type.startsWith("video/") ? "video" : "img");
    view.src = URL.createObjectURL(file);
    if (view instanceof HTMLVideoElement) view.muted = true;
    else view.alt = "";
    view.onerror = () => view.remove(); // the one who uses the file says what is wrong with it
    return view;
  }
}

/** A file of the bundled examples. */
export async function fetchExample(name: string): Promise<File> {
  const response = await fetch(new URL(`examples/${name}`, document.baseURI));
  if (!response.ok) throw new Error(`the example ${name} is missing on this host`);
  const blob = await response.blob();
  return new File([blob], name, { type: blob.type });
}
