// The lanes, one below the other; redrawn when the view, the data or the theme changes, but not during playback.

import { clamp } from "./axes.js";
import { LaneCanvas, drawSamples, shortened } from "./lane_canvas.js";
import { WAVE, paintTile, shadeOf, signed } from "./pictures.js";
import { FULL_SCALE } from "./wav.js";

const TITLE = 24;
const HEIGHTS = { waveform: 64, spectrogram: 192, profile: 76, scores: 84, words: 24, regions: 34, others: 0, ruler: 24 };
const ROWS = { regions: 24, others: 18 };
const AGAINST = "#8a9bb0";

// One method per lane, named as in HEIGHTS.
export class Lanes extends LaneCanvas {
  lanes = {};

  // Place the lanes that have content, and return their total height. For `regions` and `others`, `shown` gives the number
  // of rows.
  layOut(shown, gutter) {
    this.gutter = gutter;
    this.lanes = {};
    let top = 0;
    for (const name of Object.keys(HEIGHTS).filter((lane) => shown[lane])) {
      if (name !== "ruler") top += TITLE;
      const height = Math.max(HEIGHTS[name], name in ROWS ? ROWS[name] * shown[name] : 0);
      this.lanes[name] = { top, height, bottom: top + height };
      top += height;
    }
    return top;
  }

  laneAt(y) {
    return Object.keys(this.lanes).find((name) => y < this.lanes[name].bottom) ?? "ruler";
  }

  // The word or other person's mark at a time and height, in the read-only lanes.
  stretchAt(time, y) {
    const { words, others } = this.lanes;
    const within = (lane) => lane && y >= lane.top && y < lane.bottom;
    let shown = [];
    if (within(words)) shown = this.picture.words;
    if (within(others)) shown = this.picture.others[Math.floor((y - others.top) / ROWS.others)].regions;
    return shown.findLast(({ start, end }) => start <= time && time < end);
  }

  // `picture` comes from pictureOf.
  draw(picture) {
    this.begin(picture);
    for (const [name, lane] of Object.entries(this.lanes)) {
      this.marks = [];
      this.inLane(lane, () => this[name](lane));
      this.drawMarks(lane);
      this.title(picture.titles[name], lane);
    }
  }

  waveform(lane) {
    const { values, peak } = this.picture.waveform;
    const y = (value) => lane.top + (lane.height / 2) * (1 - value / (1.05 * peak * FULL_SCALE));
    const points = values.outline(this.axis);
    this.shadeRegions(lane);
    this.rule(y(0), { alpha: 0.2 });
    drawSamples(this.pen, points, y);
    for (const value of [peak, -peak]) this.mark(signed(value.toFixed(2)), y(value * FULL_SCALE));
    this.mark("0", y(0));
  }

  spectrogram(lane) {
    const { spectrogram, overlay, opacity } = this.picture;
    this.map(spectrogram, lane);
    if (overlay) {
      this.pen.globalAlpha = opacity;
      this.map(overlay, lane);
      this.pen.globalAlpha = 1;
    }
    this.hatch(lane);
    this.boxes(lane);
    const { ticks, rows } = spectrogram;
    for (const { row, label } of ticks) {
      const y = lane.bottom - ((row + 0.5) / rows) * lane.height;
      this.mark(label, y);
      this.pen.fillStyle = this.theme.text;
      this.pen.fillRect(0, y, 4, 1);
    }
  }

  map(map, lane) {
    const perPixel = this.axis.span / (this.axis.width * (window.devicePixelRatio || 1));
    const level = map.values.levelFor(perPixel);
    this.pen.imageSmoothingEnabled = map.values.levels[level].step * map.values.column < perPixel;
    this.mapLevel(map, lane, level, this.axis.start, this.axis.end, true);
  }

  // Where a tile has not arrived yet, draw a coarser one that has.
  mapLevel(map, lane, level, from, to, fetching) {
    const { values, rows, table, shade } = map;
    for (const { tile, ...span } of values.between(from, to, level, fetching)) {
      const [start, end] = [Math.max(from, span.from), Math.min(to, span.to)];
      if (tile) {
        if (tile.table !== table) Object.assign(tile, { table, canvas: paintTile(tile, rows, table, shade) });
        const left = values.columnAt(start, level) - tile.first;
        const width = values.columnAt(end, level) - tile.first - left;
        const x = this.axis.x(start);
        this.pen.drawImage(tile.canvas, left, 0, width, rows, x, lane.top, this.axis.x(end) - x, lane.height);
      } else if (level + 1 < values.levels.length) this.mapLevel(map, lane, level + 1, start, end, false);
    }
  }

  profile(lane) {
    const { values, reach, threshold, colour } = this.picture.profile;
    const y = (value) => lane.top + (lane.height / 2) * (1 - value / reach);
    const points = values.outline(this.axis);
    this.shadeRegions(lane);
    this.hatch(lane);
    this.rule(y(0));
    this.half(lane.top, y(0), () => this.area(points, y, colour));
    this.half(y(0), lane.bottom, () => this.area({ ...points, high: points.low }, y, AGAINST));
    if (threshold !== null) this.rule(y(threshold), { dashed: true, alpha: 0.9 });
    this.mark("for", lane.top + 10);
    this.mark("0", y(0));
    this.mark("against", lane.bottom - 10);
  }

  scores(lane) {
    const { segments, emotions } = this.picture.scores;
    const y = (score) => lane.bottom - 4 - score * (lane.height - 8);
    for (const score of [0, 0.5, 1]) {
      this.rule(y(score), { alpha: 0.15 });
      this.mark(String(score), y(score));
    }
    const x = segments.map(({ time }) => this.axis.x(time));
    const first = Math.max(0, x.findIndex((at) => at >= 0) - 1);
    const past = x.findIndex((at) => at > this.axis.width);
    const end = past < 0 ? x.length : past + 1;
    const dotted = (end - first) * 9 < this.axis.width;
    emotions.forEach(({ colour }, index) => {
      this.scoreLine(segments.slice(first, end), x.slice(first, end), (segment) => y(segment.scores[index]), colour, dotted);
    });
  }

  // Segments that data selection dropped get a ring instead of a dot.
  scoreLine(segments, x, y, colour, dotted) {
    const { pen, theme } = this;
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = 2;
    pen.beginPath();
    segments.forEach((segment, index) => pen.lineTo(x[index], y(segment)));
    pen.stroke();
    if (!dotted) return;
    segments.forEach((segment, index) => {
      pen.beginPath();
      pen.arc(x[index], y(segment), 3.5, 0, 2 * Math.PI);
      pen.fillStyle = segment.selected ? colour : theme.ground;
      pen.fill();
      pen.stroke();
    });
  }

  // Spoken words between their bounds; a word without room is left out.
  words(lane) {
    const { pen, axis, theme } = this;
    pen.font = `12px ${theme.font}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    this.shadeRegions(lane);
    for (const { start, end, label, share } of this.picture.words) {
      if (end < axis.start || start > axis.end) continue;
      const [left, right] = [axis.x(start), axis.x(end)];
      if (share) {
        pen.fillStyle = shadeOf(share);
        pen.fillRect(left, lane.top, right - left, lane.height);
      }
      pen.fillStyle = theme.text;
      pen.globalAlpha = 0.35;
      for (const x of [left, right]) pen.fillRect(Math.round(x), lane.top, 1, lane.height);
      pen.globalAlpha = 1;
      if (pen.measureText(label).width < right - left - 2) pen.fillText(label, (left + right) / 2, lane.top + lane.height / 2);
    }
  }

  // Other people's marks, one row per person, with the name on the left.
  others(lane) {
    const { pen, axis, theme, picture } = this;
    pen.font = `11px ${theme.font}`;
    pen.textBaseline = "middle";
    picture.others.forEach(({ name, regions }, index) => {
      const top = lane.top + index * ROWS.others;
      this.mark(shortened(pen, name, this.gutter - 14), top + ROWS.others / 2);
      for (const region of regions) {
        const [left, right] = [axis.x(region.start), axis.x(region.end)];
        if (right < 0 || left > axis.width) continue;
        pen.globalAlpha = 0.35;
        pen.fillStyle = picture.colourOf(region) ?? WAVE;
        pen.fillRect(left, top + 2, Math.max(1, right - left), ROWS.others - 4);
        pen.globalAlpha = 1;
        pen.fillStyle = theme.text;
        pen.textAlign = "left";
        const words = region.label ?? "";
        if (pen.measureText(words).width < right - left - 4) pen.fillText(words, left + 3, top + ROWS.others / 2);
      }
    });
  }

  // Regions are elements of their own, so that they can get the keyboard focus; this draws only the background.
  regions(lane) {
    this.pen.globalAlpha = 0.06;
    this.pen.fillStyle = this.theme.text;
    this.pen.fillRect(0, lane.top, this.axis.width, lane.height);
    this.pen.globalAlpha = 1;
  }

  ruler(lane) {
    const { pen, axis, theme } = this;
    this.rule(lane.top, { alpha: 0.6 });
    pen.font = `11px ${theme.font}`;
    pen.fillStyle = theme.text;
    pen.textBaseline = "top";
    pen.textAlign = "center";
    for (const { time, label } of axis.ticks()) {
      const x = axis.x(time);
      const half = pen.measureText(label).width / 2;
      pen.fillRect(Math.round(x), lane.top, 1, 5);
      pen.fillText(label, clamp(x, half + 4, axis.width - half), lane.top + 8);
    }
    this.mark(axis.end < 60 ? "s" : "min:s", lane.top + 13);
  }
}
