// The lanes on their one canvas: drawn anew when the view, the data or the theme changes, never because time passes.

const TITLE = 24;
const HEIGHTS = { waveform: 64, spectrogram: 192, profile: 76, scores: 84, words: 24, regions: 34, others: 0, ruler: 24 };
const ROWS = { regions: 24, others: 18 };
const WAVE = "#7f8fa6";
const AGAINST = "#8a9bb0";

class Lanes {
  constructor(canvas, axis) {
    this.canvas = canvas;
    this.axis = axis;
    this.lanes = {};
  }

  // Return the height of all; a lane is there when there is something to show in it. Of regions and of others' marks it is
  // said how many rows.
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

  // `picture` is all that is to be seen; see Player.picture.
  draw(picture) {
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth, clientHeight } = this.canvas;
    const [width, height] = [Math.round(clientWidth * ratio), Math.round(clientHeight * ratio)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const pen = this.canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, clientWidth, clientHeight);
    Object.assign(this, { pen, picture, theme: picture.theme });
    for (const [name, lane] of Object.entries(this.lanes)) {
      this.marks = [];
      this.inLane(lane, () => this[name](lane));
      this.drawMarks(lane);
      this.title(picture.titles[name], lane);
    }
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

  // An area between a line and zero.
  area({ x, high }, y, colour) {
    if (!x.length) return;
    const { pen } = this;
    const line = new Path2D();
    x.forEach((at, place) => line.lineTo(at, y(high[place])));
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

  // Where a tile has not come yet, a coarser one that has.
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

  // Draw what lies between two heights only.
  half(top, bottom, draw) {
    const { pen } = this;
    pen.save();
    pen.beginPath();
    pen.rect(0, top, this.axis.width, bottom - top);
    pen.clip();
    draw();
    pen.restore();
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
    emotions.forEach(({ colour }, place) => {
      this.scoreLine(segments.slice(first, end), x.slice(first, end), (segment) => y(segment.scores[place]), colour, dotted);
    });
  }

  // A ring instead of a dot: a segment that data selection left out.
  scoreLine(segments, x, y, colour, dotted) {
    const { pen, theme } = this;
    pen.strokeStyle = pen.fillStyle = colour;
    pen.lineWidth = 2;
    pen.beginPath();
    segments.forEach((segment, place) => pen.lineTo(x[place], y(segment)));
    pen.stroke();
    if (!dotted) return;
    segments.forEach((segment, place) => {
      pen.beginPath();
      pen.arc(x[place], y(segment), 3.5, 0, 2 * Math.PI);
      pen.fillStyle = segment.kept ? colour : theme.ground;
      pen.fill();
      pen.stroke();
    });
  }
}

// From the lowest to the highest of each pixel, which is drawn faster than any outline, and on to where the pixel before
// it ended; of fewer samples than pixels a line.
function drawSamples(pen, { x, low, high, sparse }, y) {
  pen.fillStyle = pen.strokeStyle = WAVE;
  if (!sparse) {
    for (let place = 0; place < x.length; place++) {
      const top = y(Math.max(high[place], low[place - 1] ?? -Infinity));
      const bottom = y(Math.min(low[place], high[place - 1] ?? Infinity));
      pen.fillRect(x[place] - 0.5, top, 1, Math.max(1, bottom - top));
    }
    return;
  }
  pen.lineWidth = 1;
  pen.lineJoin = "bevel";
  pen.beginPath();
  x.forEach((at, place) => pen.lineTo(at, y(high[place])));
  pen.stroke();
}
