/** The service that the page is served by (`cleanplate serve --page`): keys clips that are too large for the browser. */
import { CleanplateError } from "../engine/index.js";
import { element } from "./dom.js";
import { encodePng } from "./png.js";

const POLL_MILLISECONDS = 500;

/** The switch of the clip panel. It is hidden unless the page comes from a service, and off until it is asked for. */
export class ServiceSwitch {
  private readonly box = element("clip-service-on", HTMLInputElement);
  private readonly field = element("clip-service-token", HTMLInputElement);

  constructor(onChange: () => void) {
    // The service writes this tag into the page: "open", or "token" if requests need one.
    const access = document.querySelector<HTMLMetaElement>('meta[name="cleanplate-service"]')?.content;
    if (!access) return;
    element("clip-service", HTMLElement).hidden = false;
    this.box.checked = false; // browsers restore it on a reload
    const text = element("private", HTMLElement);
    const calm = text.textContent;
    this.box.onchange = () => {
      this.field.hidden = !this.box.checked || access !== "token";
      text.textContent = this.box.checked ? `Clips are sent to ${location.host}.` : calm;
      if (this.field.hidden || this.token) onChange();
    };
    this.field.onchange = onChange;
  }

  get isOn(): boolean {
    return this.box.checked;
  }

  get token(): string {
    return this.field.value.trim();
  }
}

export interface ServiceWish {
  readonly clip: File;
  readonly plate: File;
  /** Strokes on the first frame. */
  readonly hint: ImageData | undefined;
  readonly token: string;
  readonly signal: AbortSignal;
  /** A line for the user, and the done share, from 0 to 1. */
  readonly onProgress: (text: string, share: number) => void;
}

interface Job {
  readonly id: string;
  readonly state: "queued" | "running" | "done" | "failed" | "cancelled";
  readonly progress: { readonly frames?: number; readonly total?: number | null } | null;
  readonly frames: number | null;
  readonly notes: readonly string[];
  readonly error: { readonly message: string; readonly hint: string } | null;
}

/** Sends a clip with its plate, waits for the job, fetches the result, and removes the job from the service. */
export async function keyOnService(wish: ServiceWish): Promise<{ blob: Blob; facts: string }> {
  const { clip, plate, hint, signal, onProgress } = wish;
  const ask = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers: HeadersInit = wish.token ? { Authorization: `Bearer ${wish.token}` } : {};
    const response = await fetch(`v1/${path}`, { ...init, headers });
    if (response.ok) return response;
    const { error } = await response.json().catch(() => ({ error: undefined }));
    throw new CleanplateError("input", error?.message ?? "The service does not answer.", error?.hint ?? "");
  };
  onProgress("Sending …", 0);
  const body = new FormData();
  body.append("source", clip);
  body.append("plate", plate);
  if (hint) body.append("hint", await encodePng(hint), "hint.png");
  const sent = await ask("videos?format=webm&follow=true", { method: "POST", body, signal });
  let job = (await sent.json()) as Job;
  try {
    while (job.state === "queued" || job.state === "running") {
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
      job = await (await ask(`jobs/${job.id}`, { signal })).json();
      const { frames = 0, total } = job.progress ?? {};
      onProgress(
        job.state === "queued" ? "Waiting in the service's queue" : `${frames} frames`,
        total ? frames / total : 0,
      );
    }
    if (job.error) throw new CleanplateError("input", job.error.message, job.error.hint);
    const blob = await (await ask(`jobs/${job.id}/results/cutout`, { signal })).blob();
    const size = `${(blob.size / 1e6).toFixed(1)} MB`;
    return { blob, facts: [`${job.frames} frames, ${size}, keyed by the service.`, ...job.notes].join(" ") };
  } finally {
    // Not with the signal: a cancelled job is removed, too.
    await ask(`jobs/${job.id}`, { method: "DELETE" }).catch(() => undefined);
  }
}
