// The canvas of the lanes, and what all lanes draw: titles, axis labels, lines, areas, regions, and hatching where there
// is no evidence.

import { WAVE } from "../pictures.js";
import { t } from "../../../language/language.js";

const SCALE_WIDTH = 90;

export class LaneCanvas {
  constructor(canvas, axis) {
    this.canvas = canvas;
    this.axis = axis;
  }

  // Clear the canvas and match the screen's resolution.
  begin(picture) {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, clientWidth, clientHeight);
    Object.assign(this, { pen, picture, theme: picture.theme });
  }

  inLane(lane, draw) {
    const { pen } = this;
    pen.save();
    pen.translate(this.gutter, 0);
    pen.beginPath();
    pen.rect(0, lane.top, this.axis.width, lane.height);
    pen.clip();
    draw();
    pen.restore();
  }

  rule(y, { dashed = false, alpha = 0.3 } = {}) {
    const { pen, theme } = this;
    pen.save();
    pen.globalAlpha = alpha;
    pen.strokeStyle = theme.text;
    if (dashed) pen.setLineDash([5, 4]);
    pen.beginPath();
    pen.moveTo(0, Math.round(y) + 0.5);
    pen.lineTo(this.axis.width, Math.round(y) + 0.5);
    pen.stroke();
    pen.restore();
  }

  // Draw only between two heights.
  clipTo(top, bottom, draw) {
    const { pen } = this;
    pen.save();
    pen.beginPath();
    pen.rect(0, top, this.axis.width, bottom - top);
    pen.clip();
    draw();
    pen.restore();
  }

  // Fill the area between a line and zero.
  area({ x, high }, y, colour) {
    if (!x.length) return;
    const { pen } = this;
    const line = new Path2D();
    x.forEach((at, index) => line.lineTo(at, y(high[index])));
    const filled = new Path2D(line);
    filled.lineTo(x.at(-1), y(0));
    filled.lineTo(x[0], y(0));
    pen.fillStyle = pen.strokeStyle = colour;
    pen.globalAlpha = 0.3;
    pen.fill(filled);
    pen.globalAlpha = 1;
    pen.lineWidth = 1.5;
    pen.lineJoin = "bevel";
    pen.stroke(line);
  }

  // The title above a lane; words with a colour get a dot. In a narrow lane words are closer together, and those that do
  // not fit are left out.
  title({ words, unit, scale }, { top }) {
    const { pen, theme, gutter } = this;
    pen.textBaseline = "alphabetic";
    pen.textAlign = "right";
    pen.font = `11px ${theme.font}`;
    if (unit) pen.fillText(unit, gutter - 6, top - 7);
    pen.textAlign = "left";
    const font = (strong) => `${strong ? "600 " : ""}12px ${theme.font}`;
    const widths = words.map(({ text, colour, strong }) => {
      pen.font = font(strong);
      return pen.measureText(text).width + (colour ? 12 : 0);
    });
    const spaced = widths.reduce((sum, width) => sum + width + 12, 5);
    const gap = spaced - 12 > this.axis.width ? 5 : 12;
    let x = gutter + 5;
    for (const [index, { text, colour, strong }] of words.entries()) {
      const width = widths[index];
      if (x + width > gutter + this.axis.width) return;
      pen.font = font(strong);
      if (colour) {
        pen.fillStyle = colour;
        pen.beginPath();
        pen.arc(x + 4, top - 11, 4, 0, 2 * Math.PI);
        pen.fill();
      }
      pen.fillStyle = theme.text;
      pen.fillText(text, x + (colour ? 12 : 0), top - 7);
      x += width + gap;
    }
    if (scale) this.scaleBar(scale, gutter + this.axis.width, top - 7, x);
  }

  // The colour scale of an overlay, right-aligned, if there is room.
  scaleBar(stops, right, y, minLeft) {
    const { pen, theme, picture } = this;
    pen.font = `11px ${theme.font}`;
    const [before, after] = [t("against"), t("for")];
    const left = right - pen.measureText(after).width - 6 - SCALE_WIDTH;
    if (left - pen.measureText(before).width - 6 < minLeft) return;
    const gradient = pen.createLinearGradient(left, 0, left + SCALE_WIDTH, 0);
    for (const [at, colour] of stops) gradient.addColorStop(at, colour);
    pen.globalAlpha = picture.opacity;
    pen.fillStyle = gradient;
    pen.fillRect(left, y - 9, SCALE_WIDTH, 10);
    pen.globalAlpha = 1;
    pen.fillStyle = theme.text;
    pen.fillRect(left + SCALE_WIDTH / 2, y - 9, 1, 10);
    pen.fillText(after, left + SCALE_WIDTH + 6, y);
    pen.fillText(before, left - 6 - pen.measureText(before).width, y);
  }

  // An axis label to the left of a lane; drawn after the lane, whose clipping would cut it off.
  mark(text, y) {
    this.marks.push({ text, y });
  }

  drawMarks({ top, bottom }) {
    const { pen, theme, gutter } = this;
    pen.font = `11px ${theme.font}`;
    pen.fillStyle = theme.text;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const { text, y } of this.marks) if (y >= top - 1 && y <= bottom + 1) pen.fillText(text, gutter - 6, y);
  }

  // Regions of time shade the lanes; regions of time and frequency are boxes on the spectrogram.
  shadeRegions(lane) {
    const { pen, axis } = this;
    const { regions, accent, colourOf } = this.picture;
    pen.save();
    pen.globalAlpha = 0.16;
    for (const region of regions) {
      const { start, end, low, high, suggested } = region;
      if (low === null && high === null && !suggested && end >= axis.start && start <= axis.end) {
        pen.fillStyle = colourOf(region) ?? accent;
        pen.fillRect(axis.x(start), lane.top, Math.max(1, axis.x(end) - axis.x(start)), lane.height);
      }
    }
    pen.restore();
  }

  // `share` is the height of a frequency, 0 to 1.
  boxes(lane, share) {
    const { pen, axis } = this;
    const { regions, accent, colourOf } = this.picture;
    pen.save();
    pen.lineWidth = 2;
    for (const region of regions) {
      const { start, end, low, high } = region;
      if (low === null && high === null) continue;
      pen.strokeStyle = colourOf(region) ?? accent;
      const top = lane.bottom - (high === null ? 1 : share(high)) * lane.height;
      const bottom = lane.bottom - (low === null ? 0 : share(low)) * lane.height;
      pen.strokeRect(axis.x(start), top, axis.x(end) - axis.x(start), bottom - top);
    }
    pen.restore();
  }

  hatch(lane) {
    const { pen, axis, theme } = this;
    pen.save();
    pen.beginPath();
    for (const [start, end] of this.picture.uncovered) {
      if (end < axis.start || start > axis.end) continue;
      const [left, right] = [Math.max(0, axis.x(start)), Math.min(axis.width, axis.x(end))];
      pen.rect(left, lane.top, right - left, lane.height);
    }
    pen.clip();
    pen.globalAlpha = 0.75;
    pen.fillStyle = theme.ground;
    pen.fillRect(0, lane.top, axis.width, lane.height);
    pen.globalAlpha = 0.5;
    pen.strokeStyle = theme.text;
    pen.lineWidth = 1;
    pen.beginPath();
    for (let x = -lane.height; x < axis.width; x += 8) {
      pen.moveTo(x, lane.bottom);
      pen.lineTo(x + lane.height, lane.top);
    }
    pen.stroke();
    pen.restore();
  }
}

// Draw a bar from the lowest to the highest sample of each pixel, extended to the previous bar, which is faster than an
// outline; draw a line if there are fewer samples than pixels.
export function drawSamples(pen, { x, low, high, sparse }, y) {
  pen.fillStyle = pen.strokeStyle = WAVE;
  if (!sparse) {
    for (let index = 0; index < x.length; index++) {
      const top = y(Math.max(high[index], low[index - 1] ?? -Infinity));
      const bottom = y(Math.min(low[index], high[index - 1] ?? Infinity));
      pen.fillRect(x[index] - 0.5, top, 1, Math.max(1, bottom - top));
    }
    return;
  }
  pen.lineWidth = 1;
  pen.lineJoin = "bevel";
  pen.beginPath();
  x.forEach((at, index) => pen.lineTo(at, y(high[index])));
  pen.stroke();
}

// Shorten a text to a width, with an ellipsis.
export function shortened(pen, text, width) {
  let short = text;
  while (short && pen.measureText(short).width > width) short = short.slice(0, -1);
  return short === text ? text : `${short.slice(0, -1)}…`;
}
