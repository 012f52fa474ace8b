// Values over time from Python: files of columns at several zoom levels, of which only the visible tiles are fetched. A
// column contains one value, a minimum and a maximum, or one value per band.

import { LONGEST_RETRY_MS, RETRY_MS, fetchBytes } from "./wav.js";

const TYPES = { u1: Uint8Array, i2: Int16Array, f4: Float32Array };
const MAX_TILES = 64;

export class Values {
  // `onTile` is called when a tile has arrived.
  constructor({ start, column, levels }, onTile) {
    Object.assign(this, { start, column, levels, onTile, retryMs: RETRY_MS });
    this.tiles = new Map(); // "level/tile" -> { data, and its drawing }, or null while it is being fetched
    this.fallback = null; // other values of the same shape, shown until these have arrived
  }

  // The coarsest level that still has a column for every pixel.
  levelFor(secondsPerPixel) {
    const steps = this.levels.map(({ step }) => step * this.column);
    return Math.max(0, steps.findLastIndex((seconds) => seconds <= secondsPerPixel));
  }

  // The (fractional) column of a level at a time.
  columnAt(time, level) {
    return (time - this.start) / (this.levels[level].step * this.column);
  }

  timeAt(column, level) {
    return this.start + column * this.levels[level].step * this.column;
  }

  tile(level, index, fetching = true) {
    const key = `${level}/${index}`;
    const found = this.tiles.get(key);
    if (found === undefined && fetching) this.fetch(key, this.levels[level], index);
    if (found) {
      this.tiles.delete(key); // least recently used first
      this.tiles.set(key, found);
    }
    return found ?? this.fallback?.tiles.get(key) ?? null;
  }

  async fetch(key, { url, type, rows, columns, tile, offset }, index) {
    this.tiles.set(key, null);
    const bytes = rows * TYPES[type].BYTES_PER_ELEMENT;
    const last = Math.min((index + 1) * tile, columns);
    try {
      const from = await offset();
      const data = new TYPES[type](await fetchBytes(url, from + index * tile * bytes, from + last * bytes));
      this.tiles.set(key, { data, first: index * tile, columns: data.length / rows });
      for (const oldest of this.tiles.keys()) if (this.tiles.size > MAX_TILES) this.tiles.delete(oldest);
      this.retryMs = RETRY_MS;
      this.onTile();
    } catch {
      // Connections break, and a server may be restarted; retry less and less often.
      setTimeout(() => this.tiles.delete(key) && this.onTile(), this.retryMs);
      this.retryMs = Math.min(2 * this.retryMs, LONGEST_RETRY_MS);
    }
  }

  // The tiles between two times; tiles that are still being fetched are null.
  *between(from, to, level, fetching = true) {
    const { columns, tile } = this.levels[level];
    const first = Math.floor(Math.max(0, this.columnAt(from, level)) / tile);
    const end = Math.min(Math.ceil(this.columnAt(to, level)), columns);
    for (let index = first; index * tile < end; index++) {
      const span = { from: this.timeAt(index * tile, level), to: this.timeAt(Math.min((index + 1) * tile, columns), level) };
      yield { tile: this.tile(level, index, fetching), ...span };
    }
  }

  // The value of the finest fetched level, or null.
  valueAt(time, row) {
    for (let level = 0; level < this.levels.length; level++) {
      const { columns, tile, rows } = this.levels[level];
      const column = Math.floor(this.columnAt(time, level));
      if (column < 0 || column >= columns) continue;
      const found = this.tiles.get(`${level}/${Math.floor(column / tile)}`);
      if (found) return found.data[(column - found.first) * rows + Math.min(row, rows - 1)];
    }
    return null;
  }

  // Minimum and maximum of each pixel; with fewer columns than pixels, of each column, at its centre.
  outline(axis) {
    const secondsPerPixel = axis.span / axis.width;
    const level = this.levelFor(secondsPerPixel);
    const { step, rows } = this.levels[level];
    const sparse = step * this.column > secondsPerPixel;
    const points = { x: [], low: [], high: [], sparse };
    // One extra column on each side, so that lines continue beyond the view.
    const margin = sparse ? 1.5 * step * this.column : 0;
    for (const { tile } of this.between(axis.start - margin, axis.end + margin, level)) {
      if (tile) this.addPoints(points, tile, rows, level, axis, margin);
    }
    return points;
  }

  addPoints({ x, low, high, sparse }, { data, first, columns }, rows, level, axis, margin) {
    const begin = Math.max(0, Math.floor(this.columnAt(axis.start - margin, level)) - first);
    const end = Math.min(columns, Math.ceil(this.columnAt(axis.end + margin, level)) - first);
    const scale = axis.x(this.timeAt(1, level)) - axis.x(this.timeAt(0, level));
    const zero = axis.x(this.timeAt(first, level));
    let pixel = Math.floor(x.at(-1)); // the pixel in which the previous tile ended
    for (let column = begin; column < end; column++) {
      const [min, max] = [data[column * rows], data[column * rows + rows - 1]];
      const at = zero + (column + 0.5) * scale;
      if (sparse || Math.floor(at) !== pixel) {
        pixel = Math.floor(at);
        x.push(sparse ? at : pixel + 0.5);
        low.push(min);
        high.push(max);
      } else {
        const index = x.length - 1;
        if (min < low[index]) low[index] = min;
        if (max > high[index]) high[index] = max;
      }
    }
  }
}
