// The shapes of points, drawn once for each colour, and stamped into the pixels of the picture.
// Ten thousand calls of the canvas would take longer than a frame; these loops take a few milliseconds on any machine.

export const SHAPES = {
  circle: (r) => turns(24, r),
  square: (r) => turns(4, r * 1.15, Math.PI / 4),
  triangle: (r) => turns(3, r * 1.3, -Math.PI / 2),
  diamond: (r) => turns(4, r * 1.25),
  down: (r) => turns(3, r * 1.3, Math.PI / 2),
  plus: (r) => cross(r * 1.2, r * 0.45, 0),
  cross: (r) => cross(r * 1.2, r * 0.45, Math.PI / 4),
  star: (r) => turns(10, r * 1.4, -Math.PI / 2, 0.45),
  ring: (r) => turns(24, r),
};

// Corners on a circle; every second one may lie further inside.
function turns(count, radius, first = 0, inner = 1) {
  return Array.from({ length: count }, (_, index) => {
    const angle = first + (2 * Math.PI * index) / count;
    const r = index % 2 ? radius * inner : radius;
    return [r * Math.cos(angle), r * Math.sin(angle)];
  });
}

function cross(long, thick, turned) {
  const corner = [[thick, long], [thick, thick], [long, thick]];
  const corners = [];
  for (let quarter = 0; quarter < 4; quarter++) {
    const angle = turned - (quarter * Math.PI) / 2;
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    for (const [x, y] of corner) corners.push([x * c - y * s, x * s + y * c]);
  }
  return corners;
}

// Trace a shape around a place of a canvas.
export function trace(context, shape, x, y, radius) {
  context.beginPath();
  for (const [dx, dy] of SHAPES[shape](radius)) context.lineTo(x + dx, y + dy);
  context.closePath();
}

export function paint(context, { shape, colour }, x, y, radius, around) {
  trace(context, shape, x, y, radius);
  context.lineJoin = "round";
  if (shape === "ring") {
    context.lineWidth = Math.max(1.5, radius * 0.45);
    context.strokeStyle = colour;
    context.stroke();
    return;
  }
  context.lineWidth = Math.max(1, radius * 0.4);
  context.strokeStyle = around;
  context.stroke();
  context.fillStyle = colour;
  context.fill();
}

// The pixels of a shape that are not empty: where they are, and their colours. The covered ones come first.
export function stampOf(style, radius, around, opacity) {
  const size = 2 * Math.ceil(radius * 1.9) + 1;
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.globalAlpha = opacity;
  paint(context, style, size / 2, size / 2, radius, around);
  const words = new Uint32Array(context.getImageData(0, 0, size, size).data.buffer);
  const places = [...words.keys()].filter((place) => words[place] >>> 24);
  const covered = places.filter((place) => words[place] >>> 24 === 255);
  const order = [...covered, ...places.filter((place) => words[place] >>> 24 < 255)];
  return {
    size,
    covered: covered.length,
    x: Int32Array.from(order, (place) => place % size),
    y: Int32Array.from(order, (place) => Math.floor(place / size)),
    words: Uint32Array.from(order, (place) => words[place]),
  };
}

export class Picture {
  resize(width, height) {
    if (this.image?.width === width && this.image.height === height) return;
    this.image = new ImageData(width, height);
    this.words = new Uint32Array(this.image.data.buffer);
  }

  clear(word) {
    this.words.fill(word);
  }

  stamp(stamp, x, y) {
    const { width, height } = this.image;
    const { size } = stamp;
    const [left, top] = [Math.round(x - size / 2), Math.round(y - size / 2)];
    if (left >= 0 && top >= 0 && left + size <= width && top + size <= height) this.inside(stamp, top * width + left);
    else if (left < width && top < height && left + size > 0 && top + size > 0) this.across(stamp, left, top);
  }

  // At the edge each pixel is looked at.
  across({ covered, x, y, words }, left, top) {
    const { width, height } = this.image;
    for (let index = 0; index < words.length; index++) {
      const [column, row] = [left + x[index], top + y[index]];
      if (column < 0 || row < 0 || column >= width || row >= height) continue;
      const to = row * width + column;
      this.words[to] = index < covered ? words[index] : over(words[index], this.words[to]);
    }
  }

  inside(stamp, corner) {
    const { width } = this.image;
    if (stamp.width !== width) {
      stamp.width = width;
      stamp.offsets = stamp.x.map((column, index) => stamp.y[index] * width + column);
    }
    const { offsets, covered, words } = stamp;
    const target = this.words;
    for (let index = 0; index < covered; index++) target[corner + offsets[index]] = words[index];
    for (let index = covered; index < offsets.length; index++) {
      const to = corner + offsets[index];
      target[to] = over(words[index], target[to]);
    }
  }
}

// A half transparent colour over one that covers: red and blue at once, then green.
function over(above, below) {
  const alpha = above >>> 24;
  const [pair, one] = [below & 0xff00ff, below & 0x00ff00];
  const redBlue = pair + ((((above & 0xff00ff) - pair) * alpha) >> 8);
  const green = one + ((((above & 0x00ff00) - one) * alpha) >> 8);
  return (0xff000000 | (redBlue & 0xff00ff) | (green & 0x00ff00)) >>> 0;
}
