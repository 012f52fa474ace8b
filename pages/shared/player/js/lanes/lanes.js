// The lanes, one below the other; redrawn when the view, the data or the theme changes, but not during playback.

import { clamp, rowOf } from "../axes.js";
import { drawCorrected } from "./f0_drawing.js";
import { LaneCanvas, drawSamples, shortened } from "./lane_canvas.js";
import { ROW_HEIGHTS, placeLanes } from "./layout.js";
import { FORMANTS, ROWS as TRACK_ROWS, TRACKS, trackPoints } from "./measures.js";
import { linearScale } from "./scales.js";
import { FORMANT, WAVE, paintTile, shadeOf, signed } from "../pictures.js";
import { FULL_SCALE } from "../wav.js";
import { decimal, t } from "../../../language/language.js";

const AGAINST = "#8a9bb0";
const AWAITED = t("This appears once it is computed");
// Formants are not drawn in frames this far below the loudest one, as in Praat.
const FORMANTS_WITHIN_DB = 30;

// One method per lane, named as in layout.js.
export class Lanes extends LaneCanvas {
  lanes = {};

  // Place the lanes that have content, see `placeLanes`; return their total height.
  layOut(shown, gutter, options) {
    const { lanes, height } = placeLanes(shown, options);
    Object.assign(this, { gutter, lanes });
    return height;
  }

  laneAt(y) {
    return Object.keys(this.lanes).find((name) => y < this.lanes[name].bottom) ?? "ruler";
  }

  // The word or other annotator's mark at a time and height, in the read-only lanes.
  stretchAt(time, y) {
    const { words, others } = this.lanes;
    const isWithin = (lane) => lane && y >= lane.top && y < lane.bottom;
    let shown = [];
    if (isWithin(words)) shown = this.picture.words;
    if (isWithin(others)) shown = this.picture.others[Math.floor((y - others.top) / ROW_HEIGHTS.others)].regions;
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
    for (const value of [peak, -peak]) this.mark(signed(decimal(value, 2)), y(value * FULL_SCALE));
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
    this.boxes(lane, (hz) => rowOf(hz, spectrogram.hz) / spectrogram.rows);
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

  // The spectrogram that the browser computes from the sound, with the formants over it.
  spectrum(lane) {
    const { pen, axis, theme, picture } = this;
    const { spectrogram, frequencies, decibels, table, formants } = picture.spectrum;
    if (axis.span > spectrogram.longestView) {
      this.note(lane, t("Zoom in to {n} s or less", { n: Math.floor(spectrogram.longestView) }));
    } else {
      const ratio = window.devicePixelRatio || 1;
      spectrogram.set({ window: picture.spectrum.window, axis: frequencies, rows: Math.round(lane.height * ratio) });
      const sharp = (x) => Math.round(x * ratio) / ratio; // no seams between tiles
      pen.imageSmoothingEnabled = false;
      for (const tile of spectrogram.between(axis.start, axis.end, axis.span / (axis.width * ratio))) {
        const [left, right] = [sharp(axis.x(tile.start)), sharp(axis.x(tile.end))];
        pen.drawImage(spectrumCanvas(tile, spectrogram, table, decibels), left, lane.top, right - left, lane.height);
      }
      if (formants) this.formants(lane);
    }
    this.boxes(lane, (hz) => frequencies.share(hz));
    for (const hz of frequencies.ticks(lane.height)) {
      const y = lane.bottom - frequencies.share(hz) * lane.height;
      this.mark(String(hz), y);
      pen.fillStyle = theme.text;
      pen.fillRect(0, y, 4, 1);
    }
  }

  formants(lane) {
    const { pen, axis, picture } = this;
    const { values, ranges, message } = picture.tracks;
    if (message) return this.note(lane, message);
    const { frequencies } = picture.spectrum;
    const minIntensity = (ranges.intensity?.[1] ?? 0) - FORMANTS_WITHIN_DB;
    const size = axis.span / axis.width > 0.005 ? 1 : 2; // smaller if frames are less than two pixels apart
    for (const { tile } of values.between(axis.start, axis.end, 0)) {
      for (let column = 0; column < (tile?.columns ?? 0); column++) {
        const at = column * TRACK_ROWS;
        const x = axis.x(values.timeAt(tile.first + column + 0.5, 0));
        if (x < -size || x > axis.width + size || !(tile.data[at + 1] >= minIntensity)) continue;
        for (const row of FORMANTS) {
          const y = lane.bottom - frequencies.share(tile.data[at + row]) * lane.height;
          if (!(y >= lane.top)) continue; // above the lane, or NaN
          pen.fillStyle = "rgba(0, 0, 0, 0.7)";
          pen.fillRect(x - size - 0.5, y - size - 0.5, 2 * size + 1, 2 * size + 1);
          pen.fillStyle = FORMANT;
          pen.fillRect(x - size + 0.5, y - size + 0.5, 2 * size - 1, 2 * size - 1);
        }
      }
    }
  }

  // A message in the middle of a lane that cannot be drawn yet.
  note({ top, height }, words) {
    const { pen, axis, theme } = this;
    pen.font = `12px ${theme.font}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    const width = pen.measureText(words).width + 16;
    pen.globalAlpha = 0.85;
    pen.fillStyle = theme.ground;
    pen.fillRect((axis.width - width) / 2, top + height / 2 - 12, width, 24);
    pen.globalAlpha = 1;
    pen.fillStyle = theme.text;
    pen.fillText(words, axis.width / 2, top + height / 2);
  }

  f0(lane) {
    this.track("f0", lane, this.picture.f0);
  }

  intensity(lane) {
    this.track("intensity", lane);
  }

  hnr(lane) {
    this.track("hnr", lane);
  }

  tilt(lane) {
    this.track("tilt", lane);
  }

  // A measure over time: a line with gaps or, if a pixel covers several frames, bars from lowest to highest.
  track(name, lane, scale = null) {
    const { pen, axis, picture } = this;
    const { values, ranges, message } = picture.tracks;
    this.shadeRegions(lane);
    if (message || !(scale || ranges[name])) return this.note(lane, message || t("No voice in this recording"));
    const { share, ticks } = scale ?? linearScale(ranges[name]);
    const y = (value) => lane.bottom - share(value) * lane.height;
    for (const value of ticks(lane.height)) {
      this.rule(y(value), { alpha: 0.15 });
      this.mark(signed(decimal(value)), y(value));
    }
    const { points, fine } = trackPoints(values, TRACKS.indexOf(name), axis);
    pen.strokeStyle = pen.fillStyle = picture.accent;
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.beginPath();
    let drawing = false;
    for (const { x, low, high } of points) {
      if (Number.isNaN(low)) drawing = false;
      else if (!fine) pen.rect(x - 0.5, y(high) - 0.75, 1, y(low) - y(high) + 1.5);
      else {
        if (drawing) pen.lineTo(x, y(low));
        else pen.moveTo(x - 1, y(low)); // a single frame is a dot
        pen.lineTo(x, y(low));
        drawing = true;
      }
    }
    if (fine) pen.stroke();
    else pen.fill();
    if (name === "f0") drawCorrected(this, lane, y);
  }

  profile(lane) {
    if (!this.picture.profile) return this.note(lane, AWAITED);
    const { values, reach, threshold, colour } = this.picture.profile;
    const y = (value) => lane.top + (lane.height / 2) * (1 - value / reach);
    const points = values.outline(this.axis);
    this.shadeRegions(lane);
    this.hatch(lane);
    this.rule(y(0));
    this.clipTo(lane.top, y(0), () => this.area(points, y, colour));
    this.clipTo(y(0), lane.bottom, () => this.area({ ...points, high: points.low }, y, AGAINST));
    if (threshold !== null) this.rule(y(threshold), { dashed: true, alpha: 0.9 });
    this.mark(t("for"), lane.top + 10);
    this.mark("0", y(0));
    this.mark(t("against"), lane.bottom - 10);
  }

  scores(lane) {
    if (!this.picture.scores) return this.note(lane, AWAITED);
    const { segments, emotions } = this.picture.scores;
    const y = (score) => lane.bottom - 4 - score * (lane.height - 8);
    for (const score of [0, 0.5, 1]) {
      this.rule(y(score), { alpha: 0.15 });
      this.mark(decimal(score), y(score));
    }
    const x = segments.map(({ time }) => this.axis.x(time));
    const first = Math.max(0, x.findIndex((at) => at >= 0) - 1);
    const after = x.findIndex((at) => at > this.axis.width);
    const end = after < 0 ? x.length : after + 1;
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

  // Spoken words between their bounds; the text of a word is left out if it does not fit.
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

  // The marks of other annotators, one row each, with the name on the left.
  others(lane) {
    const { pen, axis, theme, picture } = this;
    pen.font = `11px ${theme.font}`;
    pen.textBaseline = "middle";
    picture.others.forEach(({ name, regions }, index) => {
      const top = lane.top + index * ROW_HEIGHTS.others;
      this.mark(shortened(pen, name, this.gutter - 14), top + ROW_HEIGHTS.others / 2);
      for (const region of regions) {
        const [left, right] = [axis.x(region.start), axis.x(region.end)];
        if (right < 0 || left > axis.width) continue;
        pen.globalAlpha = 0.35;
        pen.fillStyle = picture.colourOf(region) ?? WAVE;
        pen.fillRect(left, top + 2, Math.max(1, right - left), ROW_HEIGHTS.others - 4);
        pen.globalAlpha = 1;
        pen.fillStyle = theme.text;
        pen.textAlign = "left";
        const words = picture.labelOf(region) ?? "";
        if (pen.measureText(words).width < right - left - 4) pen.fillText(words, left + 3, top + ROW_HEIGHTS.others / 2);
      }
    });
  }

  // Regions are elements, so that they can get the keyboard focus; this draws only the background.
  regions(lane) {
    this.pen.globalAlpha = 0.06;
    this.pen.fillStyle = this.theme.text;
    this.pen.fillRect(0, lane.top, this.axis.width, lane.height);
    this.pen.globalAlpha = 1;
  }

  // The marks of tiers are elements too; this draws the name and the background of each row.
  tiers() {
    const { pen, theme, picture } = this;
    pen.font = `11px ${theme.font}`;
    for (const { tier, top, height } of picture.tiers) {
      this.mark(shortened(pen, tier.name, this.gutter - 14), top + 11);
      pen.globalAlpha = 0.06;
      pen.fillStyle = theme.text;
      pen.fillRect(0, top, this.axis.width, height - 2);
      pen.globalAlpha = 1;
    }
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
    const latest = axis.origin + axis.end;
    this.mark(latest < 60 ? t("s") : latest < 3600 ? t("min:s") : t("h:min:s"), lane.top + 13);
  }
}

// A tile of the spectrogram in colours, painted again when the loudest level or the colours change.
function spectrumCanvas(tile, { peak, rows }, table, decibels) {
  if (tile.peak !== peak || tile.table !== table || tile.decibels !== decibels) {
    const shade = (level) => clamp(Math.round((255 * (level - peak + decibels)) / decibels), 0, 255);
    const canvas = paintTile({ data: tile.levels, columns: tile.columns }, rows, table, shade);
    Object.assign(tile, { peak, table, decibels, canvas });
  }
  return tile.canvas;
}
