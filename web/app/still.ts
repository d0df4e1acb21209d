/** One picture, keyed again after each stroke. */
import type { Matte, Shot, Source } from "../engine/index.js";

/** A matte, and its cut-out to be drawn, which the caller closes. */
export interface KeyedStill {
  readonly matte: Matte;
  readonly cutout: ImageBitmap;
}

export class Still {
  private shot: Promise<Shot> | undefined;
  /** Number of the last request, and its keying. */
  private number = 0;
  private keying: Promise<unknown> | undefined;

  /** @param open Opens a shot with the picture's plate; called at the first request, and after `close`. */
  constructor(
    private readonly picture: Source,
    private readonly open: () => Promise<Shot>,
  ) {}

  /** Keys the picture with a hint; nothing if another request or `close` came before it was done. */
  async key(hint: ImageData | undefined): Promise<KeyedStill | undefined> {
    const number = ++this.number;
    try {
      await this.keying;
      if (number !== this.number) return undefined;
      const keyed = this.openShot().then((shot) => shot.key(this.picture, hint));
      this.keying = keyed.catch(() => undefined);
      const matte = await keyed;
      const cutout = await createImageBitmap(matte.cutout);
      if (number === this.number) return { matte, cutout };
      cutout.close();
    } catch (error) {
      if (number === this.number) throw error;
    }
    return undefined;
  }

  /** Frees the shot's memory, and drops what it still keys. */
  close(): void {
    this.number++;
    this.shot?.then((shot) => shot.close()).catch(() => undefined);
    this.shot = undefined;
  }

  private openShot(): Promise<Shot> {
    this.shot ??= this.open().catch((error) => {
      this.shot = undefined;
      throw error;
    });
    return this.shot;
  }
}
