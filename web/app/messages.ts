/** Messages of errors for the user. */
import { CleanplateError } from "../engine/index.js";
import { element } from "./dom.js";

/** One sentence that describes the error, and a hint. */
export interface Trouble {
  readonly message: string;
  readonly hint: string;
}

/** The sentences for errors that browsers raise; the engine's come with theirs. */
export function explain(error: unknown): Trouble {
  if (error instanceof CleanplateError) return error;
  const name = error instanceof Error ? error.name : "";
  switch (name) {
    case "NotAllowedError":
      return {
        message: "The camera was not allowed.",
        hint: "Allow it for this page in the browser's address bar, then start it again.",
      };
    case "NotFoundError":
    case "OverconstrainedError":
      return { message: "No camera was found.", hint: "Connect one, or use a photo or a clip." };
    case "NotReadableError":
      return { message: "The camera is in use by another program.", hint: "Close that program, then start it again." };
    case "RangeError":
      return {
        message: "This device has too little memory for that.",
        hint: "Use a smaller picture, or close other tabs.",
      };
    default:
      return {
        message: `Something went wrong: ${error instanceof Error ? error.message : error}`,
        hint: "Reload the page and try again.",
      };
  }
}

/** Shows errors in a region that screen readers announce, until they are cleared. */
export class Messages {
  private readonly place: HTMLElement;

  constructor(id: string) {
    this.place = element(id, HTMLElement);
  }

  clear(): void {
    this.place.replaceChildren();
    this.place.removeAttribute("role");
  }

  fail(error: unknown): void {
    this.show(explain(error), "alert");
  }

  /** Shows a note that does not stop the work. */
  note(message: string, hint = ""): void {
    this.show({ message, hint }, "status");
  }

  private show({ message, hint }: Trouble, role: "alert" | "status"): void {
    const title = document.createElement("b");
    title.textContent = message;
    this.place.setAttribute("role", role);
    this.place.classList.toggle("mild", role === "status");
    this.place.replaceChildren(title, hint);
  }
}

const status = element("status", HTMLElement);

/** One line under the tool; read out politely. */
export function say(text: string): void {
  status.textContent = text;
}
