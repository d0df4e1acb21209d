/** A ZIP archive whose files are stored as they are: PNGs do not get smaller. Up to 4 GB (APPNOTE.TXT 6.3). */
import { crc32 } from "./crc32.js";

const VERSION = 20;
const UTF8 = 1 << 11;
const MOST_BYTES = 0xffffffff;

export class Zip {
  private readonly parts: BlobPart[] = [];
  private readonly directory: Uint8Array<ArrayBuffer>[] = [];
  private size = 0;

  async add(name: string, file: Blob): Promise<void> {
    const title = new TextEncoder().encode(name);
    const crc = crc32(new Uint8Array(await file.arrayBuffer()));
    if (this.size + file.size > MOST_BYTES) throw new RangeError("the archive is larger than 4 GB");
    const common = [
      [2, UTF8], [2, 0], [4, 0], [4, crc], [4, file.size], [4, file.size], [2, title.length], [2, 0],
    ] as const; // biome-ignore format: a record
    this.directory.push(
      record([[4, 0x02014b50], [2, VERSION], [2, VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, this.size]]),
      title,
    );
    this.append(record([[4, 0x04034b50], [2, VERSION], ...common]), title, file);
  }

  finish(): Blob {
    const [start, count] = [this.size, this.directory.length / 2];
    this.append(...this.directory);
    const end = [
      [4, 0x06054b50],
      [2, 0],
      [2, 0],
      [2, count],
      [2, count],
      [4, this.size - start],
      [4, start],
      [2, 0],
    ] as const;
    this.append(record(end));
    return new Blob(this.parts, { type: "application/zip" });
  }

  private append(...parts: (Uint8Array<ArrayBuffer> | Blob)[]): void {
    for (const part of parts) {
      this.parts.push(part);
      this.size += part instanceof Blob ? part.size : part.length;
    }
  }
}

/** Numbers of 2 or 4 bytes, little-endian. */
function record(fields: readonly (readonly [bytes: number, value: number])[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}
