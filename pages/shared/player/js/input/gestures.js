// Map pointer, wheel and keys to actions of the player.

const SLACK = 4;
const SELECTION_EDGE = 6;
const WHEEL_ZOOM = 0.0022;

export class TimelineGestures {
  constructor(player, element) {
    Object.assign(this, { player, element, pointers: new Map(), drag: null });
    element.addEventListener("pointerdown", (event) => this.down(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.up(event));
    element.addEventListener("pointercancel", (event) => this.cancel(event));
    element.addEventListener("pointerleave", () => player.point(null));
    element.addEventListener("wheel", (event) => wheel(player, event, this.at(event).x), { passive: false });
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
    if (this.pointers.size > 1) return void (this.pinch || this.beginPinch());
    const { selection, axis } = this.player;
    const time = axis.time(at.x);
    const scrubbing = this.player.view.lanes.laneAt(at.y) === "ruler";
    this.drag = { at, scrubbing, moved: false, before: selection, anchor: this.anchor(event, at.x, time) };
    if ((event.ctrlKey || event.metaKey) && this.player.boxes.canDraw(at)) this.drag = { at, moved: false, box: true, before: this.player.regions.list };
    else if (!event.shiftKey && this.player.f0.canDraw(at)) {
      this.drag = { at, moved: false, draws: true };
      this.player.f0.beginStroke(at);
    }
    if (scrubbing) this.player.scrub(time);
  }

  // The fixed end of a selection while its other end is dragged: near an edge, or with Shift, that of the old selection.
  anchor(event, x, time) {
    const { selection, axis } = this.player;
    if (!selection) return event.shiftKey ? this.player.sound.position : time;
    const [left, right] = [axis.x(selection.start), axis.x(selection.end)];
    if (event.shiftKey) return Math.abs(x - left) < Math.abs(x - right) ? selection.end : selection.start;
    if (Math.abs(x - left) < SELECTION_EDGE) return selection.end;
    return Math.abs(x - right) < SELECTION_EDGE ? selection.start : time;
  }

  move(event) {
    const at = this.at(event);
    if (this.pointers.has(event.pointerId)) this.pointers.set(event.pointerId, at);
    if (this.pinch) return this.pinched();
    const { player, drag } = this;
    player.point(at);
    if (!drag) return;
    if (at.x < 0 || at.x > player.axis.width) player.pan(Math.sign(at.x) * 0.03 * player.axis.span);
    const time = player.axis.time(at.x);
    drag.moved ||= Math.abs(at.x - drag.at.x) > SLACK;
    drag.moved ||= drag.draws && Math.abs(at.y - drag.at.y) > SLACK;
    if (drag.box) this.drag.drawn = player.boxes.preview(drag.before, drag.at, at);
    else if (drag.draws) player.f0.strokeTo(at);
    else if (drag.scrubbing) player.scrub(time);
    else if (drag.moved) player.select(drag.anchor, time);
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (this.pinch) return void (this.pinch = this.pointers.size ? this.pinch : null);
    const { player, drag } = this;
    this.drag = null;
    if (!drag) return;
    const at = this.at(event);
    const time = player.axis.time(at.x);
    if (drag.box) player.boxes.end(drag.before, drag.moved && drag.drawn);
    else if (drag.draws && drag.moved) player.f0.endStroke();
    else if (drag.scrubbing) player.endScrub(time);
    else if (drag.moved || event.shiftKey) player.select(drag.anchor, time, true);
    else {
      player.f0.cancelStroke();
      player.click(at);
    }
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    if (!this.pointers.size) this.pinch = null;
    this.cancelDrag();
  }

  cancelDrag() {
    const { drag } = this;
    this.drag = null;
    if (drag?.box) this.player.boxes.end(drag.before, null);
    else if (drag?.draws) this.player.f0.cancelStroke();
    else if (drag?.scrubbing) this.player.scrub(null);
    else if (drag?.moved) this.player.setSelection(drag.before);
  }

  beginPinch() {
    this.cancelDrag();
    const { axis } = this.player;
    this.pinch = [...this.pointers].map(([id, { x }]) => ({ id, time: axis.time(x) }));
  }

  // Keep the two times under the two fingers.
  pinched() {
    const [one, other] = this.pinch;
    const [x1, x2] = [this.pointers.get(one.id)?.x, this.pointers.get(other.id)?.x];
    if (x1 === undefined || x2 === undefined || Math.abs(x1 - x2) < 8) return;
    const perPixel = (other.time - one.time) / (x2 - x1);
    if (perPixel <= 0) return;
    const start = one.time - x1 * perPixel;
    this.player.show(start, start + perPixel * this.player.axis.width);
  }
}

// With Ctrl, which browsers also send for touchpad pinches, zoom; sideways or with Shift, pan; otherwise scroll the page.
function wheel(player, event, x) {
  const scale = event.deltaMode ? 16 : 1;
  const sideways = event.shiftKey ? event.deltaX || event.deltaY : event.deltaX;
  if (event.ctrlKey || event.metaKey) player.zoom(Math.exp(-event.deltaY * scale * WHEEL_ZOOM), player.axis.time(x));
  else if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) {
    player.pan((sideways * scale * player.axis.span) / player.axis.width);
  } else return;
  event.preventDefault();
}

// Centre the view where the minimap is clicked or dragged.
export function attachMinimap(player, element) {
  const center = (event) => {
    const { left, width } = element.getBoundingClientRect();
    const { axis } = player;
    const middle = ((event.clientX - left) / width) * axis.duration;
    player.show(middle - axis.span / 2, middle + axis.span / 2);
  };
  element.addEventListener("pointerdown", (event) => {
    element.setPointerCapture(event.pointerId);
    center(event);
  });
  element.addEventListener("pointermove", (event) => element.hasPointerCapture(event.pointerId) && center(event));
  element.addEventListener(
    "wheel",
    (event) => wheel(player, event, player.axis.x((event.offsetX / element.clientWidth) * player.axis.duration)),
    { passive: false },
  );
}
