// The measures over time that Python sends, and the measures of a selection.

import { clamp } from "../axes.js";
import { decimal, plural, t } from "../../../language/language.js";

// The rows of a frame of measures, as Python sends them; coarser levels have the minima first, then the maxima.
export const TRACKS = ["f0", "intensity", "hnr", "tilt"];
export const FORMANTS = [4, 5, 6, 7];
// The measured F0 of frames where F0 was corrected by hand, 0 if they were unvoiced; NaN in all other frames.
export const MEASURED_F0 = 8;
export const ROWS = 9;
const MIN_SLOPE_FRAMES = 3;

// The points of a measure in view, with its lowest and highest value where a point covers several frames.
export function trackPoints(values, row, axis) {
  const level = values.levelFor(axis.span / axis.width);
  const { rows, step } = values.levels[level];
  const points = [];
  const margin = 1.5 * step * values.column;
  const beyond = axis.x(axis.start + margin);
  for (const { tile } of values.between(axis.start - margin, axis.end + margin, level)) {
    for (let column = 0; column < (tile?.columns ?? 0); column++) {
      const x = axis.x(values.timeAt(tile.first + column + 0.5, level));
      if (x < -beyond || x > axis.width + beyond) continue;
      points.push({ x, low: tile.data[column * rows + row], high: tile.data[column * rows + row + rows - ROWS] });
    }
  }
  return { points, fine: step === 1 };
}

// The frames of a selection and one frame on either side; null while some are being fetched.
export function framesOf(values, { start, end }) {
  const last = values.levels[0].columns;
  const first = clamp(Math.floor(values.columnAt(start, 0) - 0.5) - 1, 0, last);
  const endFrame = clamp(Math.ceil(values.columnAt(end, 0) + 0.5) + 1, first, last);
  const data = new Float32Array((endFrame - first) * ROWS);
  for (const { tile } of values.between(values.timeAt(first + 0.25, 0), values.timeAt(endFrame - 0.25, 0), 0)) {
    if (!tile) return null;
    const [from, to] = [Math.max(first, tile.first), Math.min(endFrame, tile.first + tile.columns)];
    data.set(tile.data.subarray((from - tile.first) * ROWS, (to - tile.first) * ROWS), (from - first) * ROWS);
  }
  return { data, first: first + values.start / values.column, hop: values.column };
}

// The measures of a selection, by the names and definitions of the library (`ser_core/audio/measures.py`).
export function measuresOf({ data, first, hop }, { start, end }) {
  const count = data.length / ROWS;
  const within = [];
  for (let index = 0; index < count; index++) {
    const time = (first + index + 0.5) * hop;
    if (time >= start - 1e-9 && time < end - 1e-9) within.push({ time, at: index * ROWS });
  }
  const known = (row) => within.map(({ at }) => data[at + row]).filter((value) => !Number.isNaN(value));
  const f0 = known(0);
  const semitones = f0.map((hz) => 12 * Math.log2(hz));
  const times = within.filter(({ at }) => !Number.isNaN(data[at])).map(({ time }) => time);
  const power = mean(known(1).map((level) => 10 ** (level / 10)));
  const [f1, f2, f3, f4] = formantsAt(data, count, (start + end) / 2 / hop - 0.5 - first);
  return {
    duration_s: end - start,
    voiced_percent: within.length ? (100 * f0.length) / within.length : null,
    f0_mean_hz: mean(f0),
    f0_lowest_hz: f0.length ? Math.min(...f0) : null,
    f0_highest_hz: f0.length ? Math.max(...f0) : null,
    f0_range_st: f0.length ? Math.max(...semitones) - Math.min(...semitones) : null,
    f0_slope_st_per_s: f0.length >= MIN_SLOPE_FRAMES ? slope(times, semitones) : null,
    intensity_db: power === null ? null : 10 * Math.log10(power),
    f1_hz: f1,
    f2_hz: f2,
    f3_hz: f3,
    f4_hz: f4,
    hnr_db: mean(known(2)),
    tilt_db_per_octave: mean(known(3)),
    f0_corrected_frames: known(MEASURED_F0).length,
  };
}

const mean = (values) => (values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null);

function slope(x, y) {
  const [meanX, meanY] = [mean(x), mean(y)];
  const spread = x.reduce((sum, value) => sum + (value - meanX) ** 2, 0);
  return x.reduce((sum, value, index) => sum + (value - meanX) * (y[index] - meanY), 0) / spread;
}

function formantsAt(data, count, position) {
  const before = Math.floor(position + 1e-9);
  if (before < 0 || before + 1 >= count) return FORMANTS.map(() => null);
  const share = Math.max(0, position - before);
  return FORMANTS.map((row) => {
    const value = (1 - share) * data[before * ROWS + row] + share * data[(before + 1) * ROWS + row];
    return Number.isNaN(value) ? null : value;
  });
}

// Measures in a line of text; missing ones are left out.
export function inWords(measures) {
  // `|| 0` removes the minus before a zero.
  const digits = (value, decimals = 0) => decimal(Number(value.toFixed(decimals)) || 0, decimals).replace("-", "−");
  const words = [t("{seconds} s", { seconds: digits(measures.duration_s, 3) })];
  const { f0_mean_hz: f0, f0_slope_st_per_s: f0Slope } = measures;
  if (f0 !== null) {
    const range = `${digits(measures.f0_lowest_hz)}–${digits(measures.f0_highest_hz)} Hz, ${digits(measures.f0_range_st, 1)} st`;
    words.push(`F0 ${digits(f0)} Hz (${range}${f0Slope === null ? "" : `, ${f0Slope > 0 ? "+" : ""}${digits(f0Slope, 1)} st/s`})`);
  } else words.push(t("no voice"));
  const { f0_corrected_frames: corrected } = measures;
  if (corrected) words.push(plural(corrected, "{n} frame corrected", "{n} frames corrected"));
  if (measures.intensity_db !== null) words.push(`${digits(measures.intensity_db, 1)} dB`);
  const formants = [1, 2, 3, 4].map((number) => measures[`f${number}_hz`]);
  if (formants.some((hz) => hz !== null)) words.push(`F1–F4 ${formants.map((hz) => (hz === null ? "–" : digits(hz))).join(", ")} Hz`);
  if (measures.hnr_db !== null) words.push(t("HNR {value} dB", { value: digits(measures.hnr_db, 1) }));
  if (measures.tilt_db_per_octave !== null) words.push(t("tilt {value} dB/octave", { value: digits(measures.tilt_db_per_octave, 1) }));
  return words.join(" · ");
}

// A heading and a row, separated by tabs, to paste into a spreadsheet.
export function asTable(measures, { start, end }, origin = 0) {
  const cells = { start_s: origin + start, end_s: origin + end, ...measures };
  // Six digits would drop the milliseconds of times above 1000 s.
  const row = Object.values(cells).map((value) => (value === null ? "" : Number(value.toPrecision(value > 1000 ? 8 : 6)).toString()));
  return `${Object.keys(cells).join("\t")}\n${row.join("\t")}\n`;
}
