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

// The pixels of a shape: premultiplied colours, and how much of what is beneath stays.
export function stampOf(style, radius, around, opacity) {
  const size = 2 * Math.ceil(radius * 1.9) + 1;
  const canvas = new OffscreenCanvas(size, size);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.globalAlpha = opacity;
  paint(context, style, size / 2, size / 2, radius, around);
  const { data } = context.getImageData(0, 0, size, size);
  return { size, data, words: new Uint32Array(data.buffer) };
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

  stamp({ size, data, words }, x, y) {
    const { width, height } = this.image;
    const [left, top] = [Math.round(x - size / 2), Math.round(y - size / 2)];
    if (left >= width || top >= height || left + size <= 0 || top + size <= 0) return;
    const [firstX, lastX] = [Math.max(0, -left), Math.min(size, width - left)];
    const [firstY, lastY] = [Math.max(0, -top), Math.min(size, height - top)];
    const target = this.image.data;
    for (let row = firstY; row < lastY; row++) {
      let from = row * size + firstX;
      let to = (top + row) * width + left + firstX;
      for (let column = firstX; column < lastX; column++, from++, to++) {
        const alpha = data[4 * from + 3];
        if (alpha === 0) continue;
        if (alpha === 255) {
          this.words[to] = words[from];
          continue;
        }
        for (let channel = 0; channel < 3; channel++) {
          const beneath = target[4 * to + channel];
          target[4 * to + channel] = beneath + ((data[4 * from + channel] - beneath) * alpha) / 255;
        }
      }
    }
  }
}
