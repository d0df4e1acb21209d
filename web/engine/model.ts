/** The model's record: the part of the Python package's `manifest.json` that the engine needs. */
export interface ModelRecord {
  readonly name: string;
  readonly version: string;
  readonly refiner_kernel: number;
  readonly hidden_channels: number;
  readonly coarse_output_stride: number;
  readonly size_multiple: number;
  readonly shrink: string;
  readonly plate_channels: number;
  readonly target_long_side: number;
  readonly refine: string;
}

/** Refuses a record of another kind of network than the engine was written for. */
export function supports(record: ModelRecord): boolean {
  return (
    record.refiner_kernel === 3 &&
    record.plate_channels === 4 &&
    record.shrink === "area" &&
    record.target_long_side > 0 &&
    /^threshold:/.test(record.refine)
  );
}

/** The error above which cells are refined. */
export function refineThreshold(record: ModelRecord): number {
  return Number(record.refine.split(":")[1]);
}
