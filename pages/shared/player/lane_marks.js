// What lanes share: titles, marks at the left, regions, hatching where nothing was heard, and the ruler.

const SCALE_WIDTH = 90;

function shortened(pen, text, width) {
  let short = text;
  while (short && pen.measureText(short).width > width) short = short.slice(0, -1);
  return short === text ? text : `${short.slice(0, -1)}…`;
}

Object.assign(Lanes.prototype, {
  // Words above a lane, each with a dot before it where it has a colour; what does not fit is left out.
  title({ words, unit, scale }, { top }) {
    const { pen, theme, gutter } = this;
    pen.textBaseline = "alphabetic";
    pen.textAlign = "right";
    pen.font = `11px ${theme.font}`;
    if (unit) pen.fillText(unit, gutter - 6, top - 7);
    pen.textAlign = "left";
    let x = gutter + 5;
    for (const { text, colour, strong } of words) {
      pen.font = `${strong ? "600 " : ""}12px ${theme.font}`;
      const width = pen.measureText(text).width + (colour ? 12 : 0);
      if (x + width > gutter + this.axis.width) return;
      if (colour) {
        pen.fillStyle = colour;
        pen.beginPath();
        pen.arc(x + 4, top - 11, 4, 0, 2 * Math.PI);
        pen.fill();
      }
      pen.fillStyle = theme.text;
      pen.fillText(text, x + (colour ? 12 : 0), top - 7);
      x += width + 12;
    }
    if (scale) this.scaleBar(scale, gutter + this.axis.width, top - 7, x);
  },

  // What the colours of an overlay mean, at the right, where there is room left of it.
  scaleBar(stops, right, y, least) {
    const { pen, theme, picture } = this;
    pen.font = `11px ${theme.font}`;
    const [before, after] = ["against", "for"];
    const left = right - pen.measureText(after).width - 6 - SCALE_WIDTH;
    if (left - pen.measureText(before).width - 6 < least) return;
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
  },

  // A mark at the left of a lane; drawn when the lane is, whose bounds would cut it off.
  mark(text, y) {
    this.marks.push({ text, y });
  },

  drawMarks({ top, bottom }) {
    const { pen, theme, gutter } = this;
    pen.font = `11px ${theme.font}`;
    pen.fillStyle = theme.text;
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    for (const { text, y } of this.marks) if (y >= top - 1 && y <= bottom + 1) pen.fillText(text, gutter - 6, y);
  },

  // Regions of time shade the lanes; those of frequency too are boxes on the spectrogram.
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
  },

  boxes(lane) {
    const { pen, axis } = this;
    const { regions, spectrogram, accent, colourOf } = this.picture;
    pen.save();
    pen.lineWidth = 2;
    for (const region of regions) {
      const { start, end, low, high } = region;
      if (low === null && high === null) continue;
      pen.strokeStyle = colourOf(region) ?? accent;
      const { hz, rows } = spectrogram;
      const top = lane.bottom - ((high === null ? rows : rowOf(high, hz)) / rows) * lane.height;
      const bottom = lane.bottom - ((low === null ? 0 : rowOf(low, hz)) / rows) * lane.height;
      pen.strokeRect(axis.x(start), top, axis.x(end) - axis.x(start), bottom - top);
    }
    pen.restore();
  },

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
  },

  // What is said, each word between its bounds; one that has no room is left out.
  words(lane) {
    const { pen, axis, theme } = this;
    pen.font = `12px ${theme.font}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    this.shadeRegions(lane);
    for (const { start, end, label } of this.picture.words) {
      if (end < axis.start || start > axis.end) continue;
      const [left, right] = [axis.x(start), axis.x(end)];
      pen.fillStyle = theme.text;
      pen.globalAlpha = 0.35;
      for (const x of [left, right]) pen.fillRect(Math.round(x), lane.top, 1, lane.height);
      pen.globalAlpha = 1;
      if (pen.measureText(label).width < right - left - 2) pen.fillText(label, (left + right) / 2, lane.top + lane.height / 2);
    }
  },

  // Return what stands at a time, and at a height, in a lane that is read only: a word, or what somebody else marked.
  stretchAt(time, y) {
    const { words, others } = this.lanes;
    const within = (lane) => lane && y >= lane.top && y < lane.bottom;
    let shown = [];
    if (within(words)) shown = this.picture.words;
    if (within(others)) shown = this.picture.others[Math.floor((y - others.top) / ROWS.others)].regions;
    return shown.findLast(({ start, end }) => start <= time && time < end);
  },

  // What others marked, a row for each of them, with the name at the left.
  others(lane) {
    const { pen, axis, theme, picture } = this;
    pen.font = `11px ${theme.font}`;
    pen.textBaseline = "middle";
    picture.others.forEach(({ name, regions }, place) => {
      const top = lane.top + place * ROWS.others;
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
  },

  // Regions are elements of their own, so that they can be focused; here is only their ground.
  regions(lane) {
    this.pen.globalAlpha = 0.06;
    this.pen.fillStyle = this.theme.text;
    this.pen.fillRect(0, lane.top, this.axis.width, lane.height);
    this.pen.globalAlpha = 1;
  },

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
  },
});

// The row of a spectrogram, as a real number, at a frequency; the middle of a band is half a row above its foot.
function rowOf(hz, centres) {
  const above = centres.findIndex((centre) => centre > hz);
  if (above === 0) return 0;
  if (above < 0) return centres.length;
  return above - 0.5 + (hz - centres[above - 1]) / (centres[above] - centres[above - 1]);
}

// The other way round: the frequency at a row, in whole Hz, within the middles of the lowest and the highest band.
function hzAt(row, centres) {
  const place = clamp(row - 0.5, 0, centres.length - 1);
  const below = Math.min(Math.floor(place), centres.length - 2);
  return Math.round(centres[below] + (place - below) * (centres[below + 1] - centres[below]));
}
