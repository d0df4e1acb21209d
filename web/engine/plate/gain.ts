/**
 * Gain: brightness and colour of the frame's light relative to the plate's.
 *
 * A factor per channel on encoded values: the mode of log(frame / plate). The subject is an outlier, but may be half
 * of the picture; of two equally good modes the one nearer to "nothing changed" wins.
 */
import type { Maps } from "../picture.js";

/** Factors on red, green and blue. */
export type Gain = readonly [number, number, number];

export const SAME_LIGHT: Gain = [1, 1, 1];

const DARKEST = 0.06;
const BRIGHTEST = 0.97;
const VOTERS = 6000;
const LEAST_VOTERS = 200;
const LARGEST_LOG = (3 / 2.2) * Math.LN2;
const LARGEST_TINT = 0.5;
const FIRST_REACH = 0.25;
const LAST_REACH = 0.06;
const BINS = 60;

/** Loss of a mode's votes per unit of log ratio. */
const CHANGE_PENALTY = (0.35 * 2.2) / Math.LN2;

/** Share by which a gain must reduce the difference that remains without it. */
const LEAST_IMPROVEMENT = 0.03;
const LARGEST_DIFFERENCE = 0.12;

/** Below one step of 8 bits. */
const NEGLIGIBLE = 0.004;

interface Voter {
  /** Of each channel; NaN where it is clipped or drowned. */
  readonly logs: readonly number[];
  readonly weight: number;
}

/**
 * The factors with `plate * gain ~ frame`.
 *
 * @param weigh Confidence, from 0 to 1, that pixel `index` of both maps shows the same surface.
 */
export function estimateGain(plate: Maps, frame: Maps, weigh: (index: number) => number): Gain {
  const area = plate.height * plate.width;
  const step = Math.max(1, Math.round(Math.sqrt(area / VOTERS)));
  const voters: Voter[] = [];
  const samples: number[] = [];
  for (let y = 0; y < plate.height; y += step) {
    for (let x = 0; x < plate.width; x += step) {
      const index = y * plate.width + x;
      const weight = weigh(index);
      if (weight <= 0) continue;
      samples.push(index);
      const logs = [0, 1, 2].map((channel) => {
        const [p, f] = [plate.data[channel * area + index]!, frame.data[channel * area + index]!];
        return p > DARKEST && p < BRIGHTEST && f > DARKEST && f < BRIGHTEST ? Math.log(f / p) : Number.NaN;
      });
      if (logs.some((log) => !Number.isNaN(log))) voters.push({ logs, weight });
    }
  }
  if (voters.length < LEAST_VOTERS) return SAME_LIGHT;
  let best = [0, 0, 0];
  let most = -1;
  for (const start of [0, ...findPeaks(voters)]) {
    const mode = settle([start, start, start], voters);
    const votes = countVotes(mode, voters);
    if (votes > most) [best, most] = [mode, votes];
  }
  const mean = (best[0]! + best[1]! + best[2]!) / 3;
  const largest = Math.max(...best.map(Math.abs));
  const tint = Math.max(...best.map((log) => Math.abs(log - mean)));
  if (largest < NEGLIGIBLE || largest > LARGEST_LOG || tint > LARGEST_TINT) return SAME_LIGHT;
  const gain = best.map(Math.exp) as unknown as Gain;
  const [before, after] = [SAME_LIGHT, gain].map((factors) => difference(plate, frame, factors, samples));
  return after! < (1 - LEAST_IMPROVEMENT) * before! ? gain : SAME_LIGHT;
}

/** A picture in another light, rounded and clipped; into `into`, which has its size. */
export function applyGain(data: Uint8ClampedArray, gain: Gain, into: Uint8ClampedArray): void {
  const tables = gain.map((factor) => Uint8ClampedArray.from({ length: 256 }, (_, value) => value * factor));
  const [red, green, blue] = tables as [Uint8ClampedArray, Uint8ClampedArray, Uint8ClampedArray];
  for (let i = 0; i < data.length; i += 4) {
    into[i] = red[data[i]!]!;
    into[i + 1] = green[data[i + 1]!]!;
    into[i + 2] = blue[data[i + 2]!]!;
    into[i + 3] = data[i + 3]!;
  }
}

/** The highest separate peaks of the histogram of all log ratios. */
function findPeaks(voters: readonly Voter[]): number[] {
  const width = (2 * LARGEST_LOG) / BINS;
  const histogram = new Float64Array(BINS);
  for (const { logs, weight } of voters) {
    for (const log of logs) {
      const bin = Math.floor((log + LARGEST_LOG) / width);
      if (bin >= 0 && bin < BINS) histogram[bin] = histogram[bin]! + weight;
    }
  }
  const peaks: number[] = [];
  const order = [...histogram.keys()].sort((a, b) => histogram[b]! - histogram[a]!);
  for (const bin of order) {
    const value = (bin + 0.5) * width - LARGEST_LOG;
    if (peaks.every((peak) => Math.abs(value - peak) > 0.12)) peaks.push(value);
    if (peaks.length === 4) break;
  }
  return peaks;
}

/** Tukey's biweight of a voter's distance from the mode, over its usable channels. */
function influence(mode: readonly number[], { logs }: Voter, reach: number): number {
  let [sum, count] = [0, 0];
  for (let c = 0; c < 3; c++) {
    const off = logs[c]! - mode[c]!;
    if (Number.isNaN(off)) continue;
    sum += off * off;
    count++;
  }
  return Math.max(0, 1 - sum / count / reach ** 2) ** 2;
}

/** Climbs to the nearest mode while the reach shrinks. */
function settle(start: readonly number[], voters: readonly Voter[]): number[] {
  let mode = [...start];
  const rounds = 8;
  for (let round = 0; round < rounds; round++) {
    const reach = FIRST_REACH * (LAST_REACH / FIRST_REACH) ** (round / (rounds - 1));
    const [sums, totals] = [
      [0, 0, 0],
      [0, 0, 0],
    ];
    for (const voter of voters) {
      const share = voter.weight * influence(mode, voter, reach);
      if (!share) continue;
      for (let c = 0; c < 3; c++) {
        if (Number.isNaN(voter.logs[c]!)) continue;
        sums[c]! += share * voter.logs[c]!;
        totals[c]! += share;
      }
    }
    const most = Math.max(...totals);
    if (most <= 0) break;
    const known = totals.map((total) => total > 0.1 * most);
    const moved = sums.map((sum, c) => sum / Math.max(totals[c]!, 1e-12));
    const of = moved.filter((_, c) => known[c]);
    const mean = of.reduce((sum, value) => sum + value, 0) / of.length;
    // A channel that is dark or clipped everywhere follows the others.
    mode = moved.map((value, c) => (known[c] ? value : mean));
  }
  return mode;
}

function countVotes(mode: readonly number[], voters: readonly Voter[]): number {
  const votes = voters.reduce((sum, voter) => sum + voter.weight * influence(mode, voter, 2 * LAST_REACH), 0);
  return votes * Math.exp(-CHANGE_PENALTY * Math.max(...mode.map(Math.abs)));
}

function difference(plate: Maps, frame: Maps, gain: Gain, samples: readonly number[]): number {
  const area = plate.height * plate.width;
  let sum = 0;
  for (const index of samples) {
    for (let c = 0; c < 3; c++) {
      const lit = Math.min(plate.data[c * area + index]! * gain[c]!, 1);
      sum += Math.min(Math.abs(lit - frame.data[c * area + index]!), LARGEST_DIFFERENCE);
    }
  }
  return sum / samples.length;
}
