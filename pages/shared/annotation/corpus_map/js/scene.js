// The points on the screen: their positions, the nearest one, and those inside a closed line.

const MARGIN = 0.06;
const CLOSEST = 200;

export class Scene {
  constructor(x, y) {
    Object.assign(this, { x, y, width: 1, height: 1, scale: 1, left: 0, top: 0 });
    this.visible = new Uint8Array(x.length).fill(1);
    this.fit();
  }

  get count() {
    return this.x.length;
  }

  resize(width, height) {
    const [middleX, middleY] = [(this.width / 2 - this.left) / this.scale, (this.height / 2 - this.top) / this.scale];
    const zoomFactor = this.scale / this.fitted().scale;
    Object.assign(this, { width, height });
    this.scale = this.fitted().scale * zoomFactor;
    this.left = width / 2 - middleX * this.scale;
    this.top = height / 2 - middleY * this.scale;
  }

  // Returns the view that shows all points: both axes have the same scale, and y points up.
  fitted() {
    const [lowX, highX] = extent(this.x);
    const [lowY, highY] = extent(this.y);
    const room = 1 - 2 * MARGIN;
    const scale = room * Math.min(this.width / (highX - lowX || 1), this.height / (highY - lowY || 1));
    return {
      scale,
      left: this.width / 2 - (scale * (lowX + highX)) / 2,
      top: this.height / 2 + (scale * (lowY + highY)) / 2,
    };
  }

  fit() {
    Object.assign(this, this.fitted());
  }

  pan(dx, dy) {
    this.left += dx;
    this.top += dy;
  }

  zoom(factor, x, y) {
    const { scale } = this.fitted();
    const newScale = Math.min(Math.max(this.scale * factor, scale / 2), scale * CLOSEST);
    const ratio = newScale / this.scale;
    this.left = x - (x - this.left) * ratio;
    this.top = y - (y - this.top) * ratio;
    this.scale = newScale;
  }

  at(index) {
    return { x: this.left + this.x[index] * this.scale, y: this.top - this.y[index] * this.scale };
  }

  // Move the view so that a point is visible.
  reveal(index) {
    const { x, y } = this.at(index);
    const edge = Math.min(this.width, this.height) * MARGIN;
    const overshoot = (value, size) => Math.max(edge - value, 0) + Math.min(size - edge - value, 0);
    this.pan(overshoot(x, this.width), overshoot(y, this.height));
  }

  // Returns the nearest visible point within reach of a position, or -1.
  nearest(x, y, reach) {
    let [nearest, minDistance] = [-1, reach * reach];
    for (let index = 0; index < this.count; index++) {
      if (!this.visible[index]) continue;
      const dx = this.left + this.x[index] * this.scale - x;
      const dy = this.top - this.y[index] * this.scale - y;
      const distance = dx * dx + dy * dy;
      if (distance < minDistance) [nearest, minDistance] = [index, distance];
    }
    return nearest;
  }

  // Returns the next visible point in a direction, or -1: the nearest one, where distance to the side counts double.
  neighbour(from, [towardsX, towardsY]) {
    let [best, minCost] = [-1, Infinity];
    for (let index = 0; index < this.count; index++) {
      if (!this.visible[index] || index === from) continue;
      const [dx, dy] = [this.x[index] - this.x[from], this.y[index] - this.y[from]];
      const ahead = dx * towardsX + dy * towardsY;
      const aside = Math.abs(dx * towardsY - dy * towardsX);
      const cost = ahead * ahead + 4 * aside * aside;
      if (ahead > 0 && aside <= 2 * ahead && cost < minCost) [best, minCost] = [index, cost];
    }
    return best;
  }

  // Returns the visible points inside a closed line on the screen.
  inside(line) {
    const found = [];
    const [lowX, highX] = extent(line.map(({ x }) => x));
    const [lowY, highY] = extent(line.map(({ y }) => y));
    for (let index = 0; index < this.count; index++) {
      if (!this.visible[index]) continue;
      const { x, y } = this.at(index);
      if (x >= lowX && x <= highX && y >= lowY && y <= highY && isInside(x, y, line)) found.push(index);
    }
    return found;
  }
}

// A ray from the point to the right crosses the border an odd number of times.
function isInside(x, y, line) {
  let odd = false;
  for (let index = 0, before = line.length - 1; index < line.length; before = index++) {
    const [start, end] = [line[before], line[index]];
    if (end.y > y !== start.y > y && x < end.x + ((y - end.y) / (start.y - end.y)) * (start.x - end.x)) odd = !odd;
  }
  return odd;
}

function extent(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return values.length ? [low, high] : [0, 0];
}
