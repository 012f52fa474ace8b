// The points of the map, stamped into the pixels of a canvas of their own.

import { Picture, stampOf } from "./glyphs.js";

export const RADIUS = 4;
const FAINT = 0.25;

export class PointsLayer {
  constructor(canvas) {
    Object.assign(this, { canvas, stamps: new Map(), picture: new Picture() });
  }

  resize(width, height, ratio) {
    Object.assign(this.canvas, { width, height });
    this.ratio = ratio;
    this.picture.resize(width, height);
    this.stamps.clear();
  }

  // Points have an outline in the colour of the background.
  recolour(colouring, outline) {
    Object.assign(this, { colouring, outline, background: pixelOf(outline) });
    this.stamps.clear();
  }

  draw(scene, chosen) {
    const { picture, ratio } = this;
    const { of } = this.colouring;
    const anyChosen = chosen.includes(1);
    picture.clear(this.background);
    // Chosen points are drawn last, above the others.
    for (const layer of anyChosen ? [0, 1] : [0]) {
      const stamps = this.stampsOf(scene, anyChosen && !layer ? FAINT : 1);
      for (let index = 0; index < scene.count; index++) {
        if (!scene.visible[index] || chosen[index] !== layer) continue;
        const x = (scene.left + scene.x[index] * scene.scale) * ratio;
        picture.stamp(stamps[of[index]], x, (scene.top - scene.y[index] * scene.scale) * ratio);
      }
    }
    this.canvas.getContext("2d").putImageData(picture.image, 0, 0);
  }

  stampsOf(scene, opacity) {
    const { scale } = scene.fitted();
    const radius = RADIUS * this.ratio * Math.min(2, Math.max(1, (scene.scale / scale) ** 0.3));
    const key = `${Math.round(2 * radius)} ${opacity}`;
    if (!this.stamps.has(key)) {
      const { groups } = this.colouring;
      this.stamps.set(key, groups.map((group) => stampOf(group, Math.round(2 * radius) / 2, this.outline, opacity)));
    }
    return this.stamps.get(key);
  }
}

// Returns a CSS colour as a pixel of the picture.
function pixelOf(colour) {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  context.fillStyle = colour;
  context.fillRect(0, 0, 1, 1);
  return new Uint32Array(context.getImageData(0, 0, 1, 1).data.buffer)[0];
}
