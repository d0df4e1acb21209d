/** Effort from the time available for each frame, to hold the frame rate (`live/pace.py`, with its figures). */
import type { Effort } from "../shot.js";

/** Shares of the frame period: keying above the first is too slow, below the second it can be finer. */
const FULL = 0.95;
const ROOMY = 0.65;

/** Seconds for which that must last; each step down doubles the wait for the step up. */
const PATIENCE_DOWN = 0.5;
const PATIENCE_UP = 4;
const LONGEST_PATIENCE = 120;

/** Seconds in which durations are ignored: after a change of effort, and after a new plate. */
const SETTLING = 0.3;
const STARTING = 1;

/** Upper limit of one frame's duration, in frame periods. */
const LONGEST_BUSY = 3;

/** Weight of the newest frame in the mean. */
const SMOOTHING = 0.15;

/** The finest first. The last one is below those of `live`: a browser has half the speed of the Python package. */
export const LEVELS: readonly Effort[] = [
  { finer: 1 },
  { finer: 1, refined: 0.03 },
  { finer: 1, refined: 0.015 },
  { finer: 0.75, refined: 0.015 },
  { finer: 0.75, refined: 0.005 },
  { finer: 0.75, refined: 0 },
  { finer: 0.6, refined: 0 },
  { finer: 0.45, refined: 0 },
];

export class Pace {
  level = 0;
  private readonly patience = LEVELS.map(() => PATIENCE_UP);
  private busy: number | undefined;
  private since: number | undefined;
  private step = 0;
  private settled: number | undefined;

  /** @param period Seconds for each frame. */
  constructor(private readonly period: number) {}

  /** Mean share of the period that keying took lately. */
  get load(): number {
    return (this.busy ?? 0) / this.period;
  }

  /** Ignores the next durations, as another plate is used from the next frame on. */
  start(): void {
    this.busy = this.since = this.settled = undefined;
  }

  /** Adds the duration of a frame at a time, both in seconds; tells whether the level has changed. */
  note(busy: number, now: number): boolean {
    this.settled ??= now + STARTING;
    if (now < this.settled) return false;
    const limited = Math.min(busy, LONGEST_BUSY * this.period);
    this.busy = (this.busy ?? limited) + SMOOTHING * (limited - (this.busy ?? limited));
    const step = this.load > FULL ? 1 : this.load < ROOMY ? -1 : 0;
    const level = this.level + step;
    if (!step || level < 0 || level >= LEVELS.length) {
      this.since = undefined;
      return false;
    }
    if (this.since === undefined || this.step !== step) [this.since, this.step] = [now, step];
    if (now - this.since < (step > 0 ? PATIENCE_DOWN : this.patience[level]!)) return false;
    if (step > 0) this.patience[this.level] = Math.min(LONGEST_PATIENCE, 2 * this.patience[this.level]!);
    this.level = level;
    this.busy = this.since = undefined;
    this.settled = now + SETTLING;
    return true;
  }
}
