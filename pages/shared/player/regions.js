// The lane of regions. Each is an element, so that keys and screen readers reach it. Where they may be edited, dragging
// draws, moves and resizes them, a double click (or F2) renames and Delete deletes.

const EDGE = 7;
const LEAST = 4;
const TWICE_MS = 400;

class Regions {
  // `hooks`: choose(region), changed(words), preview().
  constructor(element, axis, hooks) {
    Object.assign(this, { element, axis, hooks, list: [], editable: false, buttons: [], drag: null });
    element.addEventListener("pointerdown", (event) => this.begin(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.end(event.timeStamp));
    element.addEventListener("pointercancel", () => this.cancel());
    // Only of keys: what the pointer does is known already.
    element.addEventListener("click", (event) => event.detail === 0 && event.target.place >= 0 && this.choose(event.target.place));
    element.addEventListener("keydown", (event) => this.key(event));
  }

  // What stands already is left alone: something may be dragged or named just now.
  set(list, editable) {
    this.editable = editable;
    this.element.classList.toggle("editable", editable);
    if (inWords(list) === inWords(this.drag?.before ?? this.list)) return;
    this.cancel();
    this.list = list;
    this.place();
  }

  name(place) {
    return this.list[place].label || String(place + 1);
  }

  // Put the elements where the view has them.
  place() {
    while (this.buttons.length > this.list.length) this.buttons.pop().remove();
    while (this.buttons.length < this.list.length) this.buttons.push(this.element.appendChild(regionButton()));
    this.list.forEach(({ start, end }, place) => {
      const button = this.buttons[place];
      const [left, right] = [Math.max(-2, this.axis.x(start)), Math.min(this.axis.width + 2, this.axis.x(end))];
      button.hidden = right < 0 || left > this.axis.width;
      if (button.hidden) return;
      const label = this.name(place);
      button.place = place;
      button.style.left = `${left}px`;
      button.style.width = `${Math.max(LEAST, right - left)}px`;
      button.classList.toggle("narrow", right - left < 14);
      if (button.textContent !== label) button.textContent = label;
      const words = `Region ${label}, ${start.toFixed(2)} to ${end.toFixed(2)} seconds`;
      if (button.title !== words) button.setAttribute("aria-label", (button.title = words));
    });
  }

  timeOf(event) {
    return this.axis.time(event.clientX - this.element.getBoundingClientRect().left);
  }

  begin(event) {
    if (event.button || event.target.matches("input")) return;
    const place = event.target.place ?? -1;
    const time = this.timeOf(event);
    this.drag = { place, time, moved: false, before: this.list, part: place < 0 ? "new" : this.partAt(place, time) };
    if (this.editable) this.element.setPointerCapture(event.pointerId);
  }

  // Which part of a region a time lies on: an edge, or what lies between.
  partAt(place, time) {
    if (!this.editable) return "middle";
    const { start, end } = this.list[place];
    const reach = Math.min(EDGE, (this.axis.x(end) - this.axis.x(start)) / 3);
    if (Math.abs(this.axis.x(time) - this.axis.x(start)) < reach) return "start";
    return Math.abs(this.axis.x(time) - this.axis.x(end)) < reach ? "end" : "middle";
  }

  move(event) {
    const { drag } = this;
    const time = this.timeOf(event);
    if (!drag) {
      const place = event.target.place ?? -1;
      if (this.editable && place >= 0) event.target.classList.toggle("edge", this.partAt(place, time) !== "middle");
      return;
    }
    drag.moved ||= Math.abs(this.axis.x(time) - this.axis.x(drag.time)) > 3;
    if (!this.editable || !drag.moved) return;
    const region = drag.part === "new" ? { low: null, high: null, label: null } : drag.before[drag.place];
    const changed = { ...region, ...this.dragged(drag, time) };
    const list = drag.before.filter((_, place) => place !== drag.place);
    this.list = drag.part === "new" ? [...list, changed] : drag.before.with(drag.place, changed);
    this.place();
    this.hooks.preview();
  }

  dragged({ part, place, time: from, before }, time) {
    if (part === "new") return { start: Math.min(from, time), end: Math.max(from, time) };
    const { start, end } = before[place];
    const least = (LEAST / this.axis.width) * this.axis.span;
    if (part === "start") return { start: Math.min(time, end - least) };
    if (part === "end") return { end: Math.max(time, start + least) };
    const by = clamp(time - from, -start, this.axis.duration - end);
    return { start: start + by, end: end + by };
  }

  end(now) {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (!drag.moved) return drag.place >= 0 && this.clicked(drag.place, now);
    if (!this.editable) return;
    const place = drag.part === "new" ? this.list.length - 1 : drag.place;
    this.commit(drag.part === "new" ? "drawn" : drag.part === "middle" ? "moved" : "resized", this.list[place]);
  }

  cancel() {
    if (this.drag?.moved) this.list = this.drag.before;
    this.drag = null;
    this.place();
  }

  // A captured pointer gives no double clicks.
  clicked(place, now) {
    const twice = this.click?.place === place && now - this.click.now < TWICE_MS;
    this.click = twice ? null : { place, now };
    if (twice && this.editable) this.rename(place);
    else this.choose(place);
  }

  choose(place) {
    this.buttons[place].focus({ preventScroll: true });
    this.hooks.choose(this.list[place], this.name(place));
  }

  // In order of time; what was done, in words.
  commit(what, region) {
    this.list = [...this.list].sort((one, other) => one.start - other.start);
    this.place();
    const place = this.list.indexOf(region);
    if (place >= 0) this.buttons[place].focus({ preventScroll: true });
    const where = place < 0 ? "" : ` ${this.name(place)}, ${region.start.toFixed(2)} to ${region.end.toFixed(2)} seconds,`;
    this.hooks.changed(`Region${where} ${what}`);
  }

  add({ start, end }) {
    const region = { start, end, low: null, high: null, label: null };
    this.list = [...this.list, region];
    this.commit("drawn", region);
  }

  key(event) {
    const place = event.target.place ?? -1;
    if (!this.editable || place < 0) return;
    if (event.key === "F2") this.rename(place);
    else if (event.key === "Delete" || event.key === "Backspace") {
      this.list = this.list.toSpliced(place, 1);
      this.commit("deleted", null);
      (this.buttons[Math.min(place, this.list.length - 1)] ?? this.element.previousElementSibling).focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  rename(place) {
    const region = this.list[place];
    const input = document.createElement("input");
    Object.assign(input, { value: region.label ?? "", maxLength: 80 });
    input.setAttribute("aria-label", `Name of region ${this.name(place)}`);
    input.style.left = `${clamp(this.axis.x(region.start), 0, Math.max(0, this.axis.width - 144))}px`;
    const done = (keep) => {
      if (!input.isConnected) return;
      const label = input.value.trim() || null;
      input.onblur = null;
      input.remove();
      const at = this.list.indexOf(region);
      if (at < 0) return;
      this.buttons[at].focus({ preventScroll: true });
      if (!keep || label === region.label) return;
      const named = { ...region, label };
      this.list = this.list.with(at, named);
      this.commit("named", named);
    };
    input.onblur = () => done(true);
    input.onkeydown = (event) => {
      event.stopPropagation();
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault(); // else it would press the region, which has the focus next
      done(event.key === "Enter");
    };
    this.element.append(input);
    input.focus();
    input.select();
  }
}

const inWords = (list) => JSON.stringify(list.map(({ start, end, low, high, label }) => [start, end, low, high, label]));

function regionButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "region";
  return button;
}
