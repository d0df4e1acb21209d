/** Kind of an error, for programs; the message is for the user. */
export type ErrorCode =
  | "input" // not a picture, or too small
  | "plate" // the plate cannot serve this picture
  | "model" // the model's files are missing or damaged
  | "memory" // the picture is too large for this device
  | "closed"; // the keyer was closed meanwhile

/** An error that the engine raises on purpose: one plain sentence and, where there is something to do, a hint. */
export class CleanplateError extends Error {
  override readonly name = "CleanplateError";

  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly hint = "",
  ) {
    super(message);
  }
}

/** Tells whether a failure is a lack of memory: browsers and ONNX Runtime have different messages for it. */
export function isOutOfMemory(error: unknown): boolean {
  if (error instanceof CleanplateError) return error.code === "memory";
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return /RangeError|out of memory|allocation|bad_alloc|Aborted\(|memory access out of bounds/i.test(text);
}

export function outOfMemory(width?: number, height?: number): CleanplateError {
  const size = width && height ? `a picture of ${width} x ${height}` : "a picture of this size";
  return new CleanplateError(
    "memory",
    `This device has too little memory for ${size}.`,
    "Make the photo and the plate smaller, or close other tabs.",
  );
}
