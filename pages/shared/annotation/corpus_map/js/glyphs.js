// The shapes of points, drawn once for each colour and then stamped into the pixels of the picture.
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

// Corners on a circle; every second one can be further inside.
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

// Trace a shape with its centre at x, y.
export function trace(context, shape, x, y, radius) {
  context.beginPath();
  for (const [dx, dy] of SHAPES[shape](radius)) context.lineTo(x + dx, y + dy);
  context.closePath();
}

export function paint(context, { shape, colour }, x, y, radius, outline) {
  trace(context, shape, x, y, radius);
  context.lineJoin = "round";
  if (shape === "ring") {
    context.lineWidth = Math.max(1.5, radius * 0.45);
    context.strokeStyle = colour;
    context.stroke();
    return;
  }
  context.lineWidth = Math.max(1, radius * 0.4);
  context.strokeStyle = outline;
  context.stroke();
  context.fillStyle = colour;
  context.fill();
}

// The pixels of a shape that are not empty: their positions and colours, opaque ones first.
export function stampOf(style, radius, outline, opacity) {
  const size = 2 * Math.ceil(radius * 1.9) + 1;
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.globalAlpha = opacity;
  paint(context, style, size / 2, size / 2, radius, outline);
  const pixels = new Uint32Array(context.getImageData(0, 0, size, size).data.buffer);
  const filled = [...pixels.keys()].filter((index) => pixels[index] >>> 24);
  const opaque = filled.filter((index) => pixels[index] >>> 24 === 255);
  const order = [...opaque, ...filled.filter((index) => pixels[index] >>> 24 < 255)];
  return {
    size,
    opaque: opaque.length,
    x: Int32Array.from(order, (index) => index % size),
    y: Int32Array.from(order, (index) => Math.floor(index / size)),
    pixels: Uint32Array.from(order, (index) => pixels[index]),
  };
}

export class Picture {
  resize(width, height) {
    if (this.image?.width === width && this.image.height === height) return;
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
  }

  clear(pixel) {
    this.pixels.fill(pixel);
  }

  stamp(stamp, x, y) {
    const { width, height } = this.image;
    const { size } = stamp;
    const [left, top] = [Math.round(x - size / 2), Math.round(y - size / 2)];
    if (left >= 0 && top >= 0 && left + size <= width && top + size <= height) this.stampWhole(stamp, top * width + left);
    else if (left < width && top < height && left + size > 0 && top + size > 0) this.stampClipped(stamp, left, top);
  }

  // At the edge of the picture each pixel is checked.
  stampClipped({ opaque, x, y, pixels }, left, top) {
    const { width, height } = this.image;
    for (let index = 0; index < pixels.length; index++) {
      const [column, row] = [left + x[index], top + y[index]];
      if (column < 0 || row < 0 || column >= width || row >= height) continue;
      const to = row * width + column;
      this.pixels[to] = index < opaque ? pixels[index] : blend(pixels[index], this.pixels[to]);
    }
  }

  stampWhole(stamp, corner) {
    const { width } = this.image;
    if (stamp.width !== width) {
      stamp.width = width;
      stamp.offsets = stamp.x.map((column, index) => stamp.y[index] * width + column);
    }
    const { offsets, opaque, pixels } = stamp;
    const target = this.pixels;
    for (let index = 0; index < opaque; index++) target[corner + offsets[index]] = pixels[index];
    for (let index = opaque; index < offsets.length; index++) {
      const to = corner + offsets[index];
      target[to] = blend(pixels[index], target[to]);
    }
  }
}

// Blends a half transparent colour over an opaque one: red and blue at once, then green.
function blend(above, below) {
  const alpha = above >>> 24;
  const [pair, one] = [below & 0xff00ff, below & 0x00ff00];
  const redBlue = pair + ((((above & 0xff00ff) - pair) * alpha) >> 8);
  const green = one + ((((above & 0x00ff00) - one) * alpha) >> 8);
  return (0xff000000 | (redBlue & 0xff00ff) | (green & 0x00ff00)) >>> 0;
}
