// The spectrogram of the sound, computed by the browser at the screen's resolution.

import { clamp } from "../axes.js";
import { FULL_SCALE } from "../wav.js";

// Effective lengths of the windows in seconds; a whole window is twice as long.
export const WINDOWS = { wide: 0.005, narrow: 0.03 };
const REFERENCE = 2e-5; // Pa; a sample of 1 counts as 1 Pa, as in Praat
const TILE_COLUMNS = 128;
const MAX_TILES = 96;
const MAX_WINDOWS = 8; // for each column, if columns are longer than windows
const MAX_VIEW_S = 30;
const MAX_SAMPLES = 2.5e6; // so that the tiles of the waveform cover a whole view
const COMPUTE_MS = 12; // for each frame of the screen

class Fft {
  constructor(size) {
    const half = size / 2;
    this.size = size;
    this.cos = Float64Array.from({ length: half }, (_, index) => Math.cos((2 * Math.PI * index) / size));
    this.sin = Float64Array.from({ length: half }, (_, index) => Math.sin((2 * Math.PI * index) / size));
    this.order = new Uint32Array(size);
    for (let index = 0; index < size; index++) this.order[index] = (this.order[index >> 1] >> 1) | (index & 1 ? half : 0);
  }

  // Transform in place, radix 2.
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
    // Short windows get extra bins, so that interpolation between two bins is nearly exact.
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

  // Add the densities in 1/Hz, re 20 micropascal, of two frames of 16-bit samples to two arrays of bins. One complex
  // transform computes both.
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

  // The bins that each row of pixels shows: the mean of several, or an interpolation between two.
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

// The spectrogram in tiles of columns, computed when they come into view, a few in each frame of the screen.
export class Spectrogram {
  // `values` are the tiles of the waveform; `onUnfinished` is called while some tiles are still to be computed.
  constructor(values, rate, onUnfinished) {
    Object.assign(this, { values, rate, onUnfinished, tiles: new Map(), peak: -Infinity });
  }

  set({ window, axis, rows }) {
    const settings = `${window} ${axis.scale} ${axis.top} ${rows}`;
    if (settings === this.settings) return;
    if (window !== this.window) this.spectra = new Spectra(this.rate, WINDOWS[window]);
    Object.assign(this, { settings, window, axis, rows, peak: -Infinity });
    this.rowBins = this.spectra.rowsOf(axis, rows);
    this.tiles.clear();
  }

  get longestView() {
    return Math.min(MAX_VIEW_S, MAX_SAMPLES / this.rate);
  }

  // The level whose columns are up to 1.4 times shorter than a pixel, so that small zooms keep their tiles.
  levelFor(secondsPerPixel) {
    return Math.floor(2 * Math.log2(Math.max(secondsPerPixel, 1 / this.rate)));
  }

  // The tiles between two times: { start, end, columns, levels }. While tiles of the level are missing, tiles of other
  // levels come first, to fill the gaps.
  between(from, to, secondsPerPixel) {
    this.level = this.levelFor(secondsPerPixel);
    const seconds = TILE_COLUMNS * 2 ** (this.level / 2);
    const stop = performance.now() + COMPUTE_MS;
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
    for (const oldest of this.tiles.keys()) if (this.tiles.size > MAX_TILES) this.tiles.delete(oldest);
    if (waiting) this.onUnfinished();
    return [...others, ...found];
  }

  // Compute a tile; null while its samples are being fetched.
  compute(start, end) {
    const { rate, spectra, rows, level } = this;
    const column = (end - start) / TILE_COLUMNS;
    const windows = clamp(Math.round(column / WINDOWS[this.window]), 1, MAX_WINDOWS);
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
    this.peak = Math.max(this.peak, Math.ceil(tile.levels.reduce((max, value) => Math.max(max, value), -Infinity)));
    this.tiles.set(`${level}/${Math.round(start / (end - start))}`, tile);
    return tile;
  }

  // Samples, with silence before and after the recording; null while some are being fetched.
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
