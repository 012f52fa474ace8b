// Pointer and wheel: move and zoom the map, hover over recordings, draw around them.

// A pointer that moves further than this drags.
const DRAG_PX = 4;
// A pointer this close to a point hovers over it.
const REACH_PX = 14;
const WHEEL_ZOOM = 0.0022;

export class Gestures {
  constructor(map, element) {
    Object.assign(this, { map, element, pointers: new Map(), drag: null });
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.up(event));
    element.addEventListener("pointercancel", () => this.cancel());
    element.addEventListener("pointerleave", () => this.drag || map.hover(-1));
    element.addEventListener("dblclick", (event) => this.open(event));
    element.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
  }

  at(event) {
    const { left, top } = this.element.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  down(event) {
    if (event.button) return;
    this.element.setPointerCapture(event.pointerId);
    const at = this.at(event);
    this.pointers.set(event.pointerId, at);
    const lasso = this.pointers.size === 1 && this.map.lasso !== event.altKey;
    this.drag = { begin: at, line: lasso ? [at] : null, add: event.shiftKey, moved: false };
    if (this.pointers.size > 1) this.map.showLine(null);
  }

  move(event) {
    const at = this.at(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) return this.map.hover(this.map.scene.nearest(at.x, at.y, REACH_PX));
    if (this.pointers.size > 1) this.pinch(event.pointerId, at);
    else if (this.drag.moved || Math.hypot(at.x - this.drag.begin.x, at.y - this.drag.begin.y) > DRAG_PX) {
      this.drag.moved = true;
      if (this.drag.line) this.map.showLine([...this.drag.line, at]);
      else this.map.pan(at.x - before.x, at.y - before.y);
      this.drag.line?.push(at);
    } else return;
    this.pointers.set(event.pointerId, at);
  }

  pinch(id, at) {
    const [other] = [...this.pointers].find(([one]) => one !== id).slice(1);
    const before = this.pointers.get(id);
    const distance = (position) => Math.max(10, Math.hypot(position.x - other.x, position.y - other.y));
    this.drag = { begin: at, line: null, moved: true };
    this.map.zoom(distance(at) / distance(before), (at.x + other.x) / 2, (at.y + other.y) / 2);
    this.map.pan((at.x - before.x) / 2, (at.y - before.y) / 2);
  }

  up(event) {
    const { drag } = this;
    this.pointers.delete(event.pointerId);
    if (this.pointers.size || !drag) return;
    this.drag = null;
    this.map.showLine(null);
    if (!drag.moved) {
      const at = this.at(event);
      this.map.click(this.map.scene.nearest(at.x, at.y, REACH_PX), event.shiftKey);
    } else if (drag.line) this.map.choose(this.map.scene.inside(drag.line), drag.add);
  }

  cancel() {
    this.pointers.clear();
    this.drag = null;
    this.map.showLine(null);
  }

  open(event) {
    const at = this.at(event);
    this.map.open(this.map.scene.nearest(at.x, at.y, REACH_PX));
  }

  wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { x, y } = this.at(event);
    this.map.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 16 : 1) * WHEEL_ZOOM), x, y);
  }
}
