// The map by keys: step from recording to recording, play, open, and choose the recordings in a rectangle.

import { t } from "../../../language/language.js";

const DIRECTIONS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const ZOOM = 1.5;

export class Keys {
  constructor(map, element) {
    Object.assign(this, { map, corner: -1 });
    element.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { map } = this;
    const actions = {
      Enter: () => map.open(map.current),
      " ": () => map.play(map.current),
      "+": () => map.zoomMiddle(ZOOM),
      "=": () => map.zoomMiddle(ZOOM),
      "-": () => map.zoomMiddle(1 / ZOOM),
      0: () => map.fit(),
      x: () => map.current < 0 || map.choose([map.current], true, true),
      r: () => this.rectangle(),
      Escape: () => this.escape(),
    };
    const direction = DIRECTIONS[event.key];
    const key = event.key.length > 1 ? event.key : event.key.toLowerCase();
    const action = direction ? () => this.step(direction) : actions[key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  step(direction) {
    const { map } = this;
    const { scene } = map;
    const from = map.current >= 0 && scene.visible[map.current] ? map.current : -1;
    const to = from < 0 ? scene.nearest(scene.width / 2, scene.height / 2, Infinity) : scene.neighbour(from, direction);
    if (to < 0) return map.say(t("Nothing more in this direction."));
    scene.reveal(to);
    map.goTo(to);
    this.draw();
  }

  // The first R sets a corner at the current recording; the second chooses the recordings in the rectangle.
  rectangle() {
    const { map } = this;
    if (map.current < 0) return map.say(t("Go to a recording first, with the arrow keys."));
    if (this.corner < 0) {
      this.corner = map.current;
      map.say(t("Corner set. Go to the opposite corner and press R again."));
      return this.draw();
    }
    const line = this.line();
    this.corner = -1;
    map.showLine(null);
    map.choose(map.scene.inside(line), false);
  }

  line() {
    const [one, other] = [this.map.scene.at(this.corner), this.map.scene.at(this.map.current)];
    const [left, right] = [Math.min(one.x, other.x) - 1, Math.max(one.x, other.x) + 1];
    const [top, bottom] = [Math.min(one.y, other.y) - 1, Math.max(one.y, other.y) + 1];
    return [{ x: left, y: top }, { x: right, y: top }, { x: right, y: bottom }, { x: left, y: bottom }];
  }

  draw() {
    this.map.showLine(this.corner < 0 ? null : this.line());
  }

  escape() {
    const { map } = this;
    if (this.corner < 0) return map.choose([], false);
    this.corner = -1;
    map.showLine(null);
    map.say(t("No rectangle."));
  }
}
