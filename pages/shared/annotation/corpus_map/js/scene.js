// Points on the screen: where they lie, which is near, which lie inside a line.

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
    const closer = this.scale / this.whole().scale;
    Object.assign(this, { width, height });
    this.scale = this.whole().scale * closer;
    this.left = width / 2 - middleX * this.scale;
    this.top = height / 2 - middleY * this.scale;
  }

  // The view that shows all: both axes to the same scale, and up is positive.
  whole() {
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
    Object.assign(this, this.whole());
  }

  pan(dx, dy) {
    this.left += dx;
    this.top += dy;
  }

  zoom(factor, x, y) {
    const { scale } = this.whole();
    const wanted = Math.min(Math.max(this.scale * factor, scale / 2), scale * CLOSEST);
    const by = wanted / this.scale;
    this.left = x - (x - this.left) * by;
    this.top = y - (y - this.top) * by;
    this.scale = wanted;
  }

  at(index) {
    return { x: this.left + this.x[index] * this.scale, y: this.top - this.y[index] * this.scale };
  }

  // Move the view so that a point that was reached by a key is seen.
  reveal(index) {
    const { x, y } = this.at(index);
    const edge = Math.min(this.width, this.height) * MARGIN;
    const beyond = (value, size) => Math.max(edge - value, 0) + Math.min(size - edge - value, 0);
    this.pan(beyond(x, this.width), beyond(y, this.height));
  }

  // The visible point that is nearest to a place, if one is within reach.
  nearest(x, y, reach) {
    let [found, least] = [-1, reach * reach];
    for (let index = 0; index < this.count; index++) {
      if (!this.visible[index]) continue;
      const dx = this.left + this.x[index] * this.scale - x;
      const dy = this.top - this.y[index] * this.scale - y;
      const distance = dx * dx + dy * dy;
      if (distance < least) [found, least] = [index, distance];
    }
    return found;
  }

  // The next visible point in a direction: near, and rather straight ahead than aside.
  neighbour(from, [towardsX, towardsY]) {
    let [found, least] = [-1, Infinity];
    for (let index = 0; index < this.count; index++) {
      if (!this.visible[index] || index === from) continue;
      const [dx, dy] = [this.x[index] - this.x[from], this.y[index] - this.y[from]];
      const ahead = dx * towardsX + dy * towardsY;
      const aside = Math.abs(dx * towardsY - dy * towardsX);
      const cost = ahead * ahead + 4 * aside * aside;
      if (ahead > 0 && aside <= 2 * ahead && cost < least) [found, least] = [index, cost];
    }
    return found;
  }

  // The visible points within a closed line of places on the screen.
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

// A line from the place to the right crosses the border an odd number of times.
function isInside(x, y, line) {
  let odd = false;
  for (let index = 0, before = line.length - 1; index < line.length; before = index++) {
    const [here, last] = [line[index], line[before]];
    if (here.y > y !== last.y > y && x < here.x + ((y - here.y) / (last.y - here.y)) * (last.x - here.x)) odd = !odd;
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
