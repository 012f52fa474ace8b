// What the browser computes of the sound: a spectrogram at the screen's resolution, and the measures of a selection.

import { clamp } from "../axes.js";
import { FULL_SCALE } from "../wav.js";
import { decimal, plural, t } from "../../../language/language.js";

// Effective lengths of the windows in seconds; a whole window is twice as long.
export const WINDOWS = { wide: 0.005, narrow: 0.03 };
const REFERENCE = 2e-5; // Pa; a sample of 1 counts as 1 Pa, as in Praat
const TILE_COLUMNS = 128;
const MOST_TILES = 96;
const MOST_WINDOWS = 8; // for each column, if columns are longer than windows
const LONGEST_VIEW = 30;
const MOST_SAMPLES = 2.5e6; // so that the tiles of the waveform hold a whole view
const PATIENCE_MS = 12;

// --- frequencies ---

// Mel as in HTK, and Bark as in Traunmüller 1990, from Hz and back.
export const SCALES = {
  linear: { of: (hz) => hz, hz: (value) => value },
  mel: { of: (hz) => 2595 * Math.log10(1 + hz / 700), hz: (mel) => 700 * (10 ** (mel / 2595) - 1) },
  bark: { of: (hz) => (26.81 * hz) / (1960 + hz) - 0.53, hz: (bark) => (1960 * (bark + 0.53)) / (26.28 - bark) },
};
const LINEAR_STEPS = [50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000];
const OTHER_TICKS = [100, 200, 300, 500, 700, 1000, 1500, 2000, 3000, 4000, 5000, 7000, 10000, 15000, 20000, 30000, 50000, 90000];

export class FrequencyAxis {
  constructor(scale, top) {
    Object.assign(this, { scale, top, low: SCALES[scale].of(0), high: SCALES[scale].of(top) });
  }

  // The height of a frequency, 0 at 0 Hz and 1 at the top, and the inverse.
  share(hz) {
    return (SCALES[this.scale].of(hz) - this.low) / (this.high - this.low);
  }

  hz(share) {
    return SCALES[this.scale].hz(this.low + share * (this.high - this.low));
  }

  // Frequencies to label, at least so many pixels apart.
  ticks(height, apart = 22) {
    if (this.scale === "linear") {
      const step = LINEAR_STEPS.find((hz) => this.share(hz) * height >= apart) ?? this.top;
      return Array.from({ length: Math.floor(this.top / step + 1e-9) + 1 }, (_, index) => index * step);
    }
    const ticks = [0];
    for (const hz of OTHER_TICKS) if (hz <= this.top && (this.share(hz) - this.share(ticks.at(-1))) * height >= apart) ticks.push(hz);
    return ticks;
  }
}

// --- spectra ---

class Fft {
  constructor(size) {
    const half = size / 2;
    this.size = size;
    this.cos = Float64Array.from({ length: half }, (_, index) => Math.cos((2 * Math.PI * index) / size));
    this.sin = Float64Array.from({ length: half }, (_, index) => Math.sin((2 * Math.PI * index) / size));
    this.order = new Uint32Array(size);
    for (let index = 0; index < size; index++) this.order[index] = (this.order[index >> 1] >> 1) | (index & 1 ? half : 0);
  }

  // In place, by powers of two.
  run(real, imaginary) {
    const { size, cos, sin, order } = this;
    for (let index = 0; index < size; index++) {
      const other = order[index];
      if (other <= index) continue;
      [real[index], real[other]] = [real[other], real[index]];
      [imaginary[index], imaginary[other]] = [imaginary[other], imaginary[index]];
    }
    for (let half = 1; half < size; half *= 2) {
      const step = size / (2 * half);
      for (let first = 0; first < size; first += 2 * half) {
        for (let index = 0; index < half; index++) {
          const [one, other, turn] = [first + index, first + index + half, index * step];
          const re = real[other] * cos[turn] + imaginary[other] * sin[turn];
          const im = imaginary[other] * cos[turn] - real[other] * sin[turn];
          real[other] = real[one] - re;
          imaginary[other] = imaginary[one] - im;
          real[one] += re;
          imaginary[one] += im;
        }
      }
    }
  }
}

// Power densities of frames under a Gaussian-like window.
export class Spectra {
  constructor(rate, seconds) {
    const length = Math.max(8, Math.round(2 * seconds * rate));
    // Short windows get more bins than they need, so that what lies between two bins is nearly a straight line.
    const size = 2 ** Math.ceil(Math.log2(length)) * (length < 1024 ? 2 : 1);
    const window = Float64Array.from({ length }, (_, index) => {
      const at = (index + 0.5) / length - 0.5;
      return (Math.exp(-48 * at * at) - Math.exp(-12)) / (1 - Math.exp(-12));
    });
    const energy = window.reduce((sum, value) => sum + value * value, 0);
    Object.assign(this, { rate, length, size, window, fft: new Fft(size), bins: size / 2 + 1 });
    this.gain = 2 / (rate * energy * FULL_SCALE ** 2 * REFERENCE ** 2);
    this.real = new Float64Array(size);
    this.imaginary = new Float64Array(size);
  }

  // Add the densities in 1/Hz, re 20 micropascal, of two frames of 16-bit samples to two arrays of bins: a transform of
  // complex numbers holds two of real ones.
  add(samples, starts, powers) {
    const { real, imaginary, window, length, size, gain, bins } = this;
    real.fill(0);
    imaginary.fill(0);
    const [one, other] = starts;
    for (let index = 0; index < length; index++) {
      real[index] = samples[one + index] * window[index];
      imaginary[index] = samples[other + index] * window[index];
    }
    this.fft.run(real, imaginary);
    for (let bin = 0; bin < bins; bin++) {
      const mirrored = (size - bin) & (size - 1);
      const [re, im, re2, im2] = [real[bin], imaginary[bin], real[mirrored], imaginary[mirrored]];
      powers[0][bin] += (gain / 4) * ((re + re2) ** 2 + (im - im2) ** 2);
      powers[1][bin] += (gain / 4) * ((im + im2) ** 2 + (re2 - re) ** 2);
    }
  }

  // Which bins each row of pixels shows: their mean, or between two bins a value on the line.
  rowsOf(axis, count) {
    const perBin = this.rate / this.size;
    return Array.from({ length: count }, (_, row) => {
      const [low, high] = [axis.hz(row / count) / perBin, axis.hz((row + 1) / count) / perBin];
      const middle = clamp((low + high) / 2, 0, this.bins - 1);
      if (high - low <= 1) return { first: Math.min(Math.floor(middle), this.bins - 2), share: middle - Math.min(Math.floor(middle), this.bins - 2) };
      return { first: Math.round(low), end: Math.max(Math.round(high), Math.round(low) + 1), share: null };
    });
  }
}

// Levels in dB of a column's rows, from `power` of `windows` windows.
function levelsInto(target, offset, rows, power, windows) {
  for (let row = 0; row < rows.length; row++) {
    const { first, end, share } = rows[row];
    let sum = 0;
    if (share !== null) sum = (1 - share) * power[first] + share * power[first + 1];
    else {
      const last = Math.min(end, power.length);
      for (let bin = first; bin < last; bin++) sum += power[bin];
      sum /= Math.max(1, last - first);
    }
    target[offset + row] = 10 * Math.log10(sum / windows + 1e-30);
  }
}

// The spectrogram in tiles of columns, computed as they are looked at, a few in each frame of the screen.
export class Spectrogram {
  // `values` are the tiles of the waveform; `more` is called while some tiles are still to be computed.
  constructor(values, rate, more) {
    Object.assign(this, { values, rate, more, tiles: new Map(), peak: -Infinity });
  }

  set({ window, axis, rows }) {
    const wish = `${window} ${axis.scale} ${axis.top} ${rows}`;
    if (wish === this.wish) return;
    if (window !== this.window) this.spectra = new Spectra(this.rate, WINDOWS[window]);
    Object.assign(this, { wish, window, axis, rows, peak: -Infinity });
    this.rowBins = this.spectra.rowsOf(axis, rows);
    this.tiles.clear();
  }

  get longestView() {
    return Math.min(LONGEST_VIEW, MOST_SAMPLES / this.rate);
  }

  // The level whose columns are no longer than a pixel, and up to 1.4 times shorter, so that tiles outlive small zooms.
  levelFor(secondsPerPixel) {
    return Math.floor(2 * Math.log2(Math.max(secondsPerPixel, 1 / this.rate)));
  }

  // The tiles between two times, coarser and finer ones first that fill in while those of the level are not computed yet.
  // Every tile: { start, end, columns, levels }.
  between(from, to, secondsPerPixel) {
    this.level = this.levelFor(secondsPerPixel);
    const seconds = TILE_COLUMNS * 2 ** (this.level / 2);
    const stop = performance.now() + PATIENCE_MS;
    const found = [];
    let waiting = false;
    for (let index = Math.floor(from / seconds); index * seconds < to; index++) {
      const key = `${this.level}/${index}`;
      let tile = this.tiles.get(key);
      if (!tile && performance.now() < stop) tile = this.compute(index * seconds, (index + 1) * seconds);
      else if (!tile) waiting = true;
      if (!tile) continue;
      this.tiles.delete(key); // least recently used first
      this.tiles.set(key, tile);
      found.push(tile);
    }
    const complete = found.length === Math.ceil(to / seconds) - Math.floor(from / seconds);
    const others = complete ? [] : [...this.tiles.values()].filter((tile) => tile.level !== this.level && tile.start < to && tile.end > from);
    for (const oldest of this.tiles.keys()) if (this.tiles.size > MOST_TILES) this.tiles.delete(oldest);
    if (waiting) this.more();
    return [...others, ...found];
  }

  // Null while samples are being fetched.
  compute(start, end) {
    const { rate, spectra, rows, level } = this;
    const column = (end - start) / TILE_COLUMNS;
    const windows = clamp(Math.round(column / WINDOWS[this.window]), 1, MOST_WINDOWS);
    const first = Math.round(start * rate) - spectra.length;
    const samples = this.samplesBetween(first, Math.round(end * rate) + spectra.length);
    if (!samples) return null;
    const tile = { level, start, end, columns: TILE_COLUMNS, levels: new Float32Array(TILE_COLUMNS * rows) };
    const powers = [new Float64Array(spectra.bins), new Float64Array(spectra.bins)];
    for (let index = 0; index < TILE_COLUMNS; index += 2) {
      powers.forEach((power) => power.fill(0));
      for (let part = 0; part < windows; part++) {
        const middle = (at) => start + (at + (part + 0.5) / windows) * column;
        const starts = [index, index + 1].map((at) => Math.round(middle(at) * rate - spectra.length / 2) - first);
        spectra.add(samples, starts, powers);
      }
      powers.forEach((power, which) => levelsInto(tile.levels, (index + which) * rows, this.rowBins, power, windows));
    }
    // Whole decibels, so that the colours seldom change.
    this.peak = Math.max(this.peak, Math.ceil(tile.levels.reduce((most, value) => Math.max(most, value), -Infinity)));
    this.tiles.set(`${level}/${Math.round(start / (end - start))}`, tile);
    return tile;
  }

  // Silence before and after the recording.
  samplesBetween(first, end) {
    const tiles = [...this.values.between(first / this.rate, end / this.rate, 0)].map(({ tile }) => tile);
    if (tiles.includes(null)) return null;
    const samples = new Float64Array(end - first);
    for (const tile of tiles) {
      const from = Math.max(first, tile.first);
      const to = Math.min(end, tile.first + tile.columns);
      if (to > from) samples.set(tile.data.subarray(from - tile.first, to - tile.first), from - first);
    }
    return samples;
  }

  // The level in dB at a time and height, or null.
  valueAt(time, share) {
    const tile = [...this.tiles.values()].find(({ level, start, end }) => level === this.level && time >= start && time < end);
    if (!tile) return null;
    const column = Math.floor(((time - tile.start) / (tile.end - tile.start)) * tile.columns);
    return tile.levels[column * this.rows + clamp(Math.floor(share * this.rows), 0, this.rows - 1)];
  }
}

// --- measures ---

// The rows of a frame of measures, as Python sends them; coarser levels hold their minima and then their maxima.
export const TRACKS = ["f0", "intensity", "hnr", "tilt"];
export const FORMANTS = [4, 5, 6, 7];
// Where F0 was corrected by hand: what was measured there, 0 if that was unvoiced; elsewhere NaN.
export const MEASURED_F0 = 8;
export const ROWS = 9;
const LEAST_SLOPE_FRAMES = 3;

// The points of a measure in view, from its lowest to its highest value where one point stands for several frames.
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

// The frames of a selection and one on either side, or null while some are being fetched.
export function framesOf(values, { start, end }) {
  const last = values.levels[0].columns;
  const first = clamp(Math.floor(values.columnAt(start, 0) - 0.5) - 1, 0, last);
  const past = clamp(Math.ceil(values.columnAt(end, 0) + 0.5) + 1, first, last);
  const data = new Float32Array((past - first) * ROWS);
  for (const { tile } of values.between(values.timeAt(first + 0.25, 0), values.timeAt(past - 0.25, 0), 0)) {
    if (!tile) return null;
    const [from, to] = [Math.max(first, tile.first), Math.min(past, tile.first + tile.columns)];
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
    f0_slope_st_per_s: f0.length >= LEAST_SLOPE_FRAMES ? slope(times, semitones) : null,
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
  const [middle, level] = [mean(x), mean(y)];
  const spread = x.reduce((sum, value) => sum + (value - middle) ** 2, 0);
  return x.reduce((sum, value, index) => sum + (value - middle) * (y[index] - level), 0) / spread;
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

// Measures in a line for people; what is missing is left out.
export function inWords(measures) {
  // No minus before a zero.
  const digits = (value, decimals = 0) => decimal(Number(value.toFixed(decimals)) || 0, decimals).replace("-", "−");
  const words = [`${digits(measures.duration_s, 3)} s`];
  const { f0_mean_hz: f0, f0_slope_st_per_s: rising } = measures;
  if (f0 !== null) {
    const range = `${digits(measures.f0_lowest_hz)}–${digits(measures.f0_highest_hz)} Hz, ${digits(measures.f0_range_st, 1)} st`;
    words.push(`F0 ${digits(f0)} Hz (${range}${rising === null ? "" : `, ${rising > 0 ? "+" : ""}${digits(rising, 1)} st/s`})`);
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

// A heading and a row with tabs between the cells, as spreadsheets paste them.
export function asTable(measures, { start, end }, origin = 0) {
  const cells = { start_s: origin + start, end_s: origin + end, ...measures };
  // Of hours, six digits would leave no milliseconds.
  const row = Object.values(cells).map((value) => (value === null ? "" : Number(value.toPrecision(value > 1000 ? 8 : 6)).toString()));
  return `${Object.keys(cells).join("\t")}\n${row.join("\t")}\n`;
}
