// The lane of regions. Each is an element, so that keys and screen readers reach it. A click chooses one; what can be
// done to them where they may be edited is in region_editing.js.

const LEAST = 4;
const TWICE_MS = 400;
const MOST_ROWS = 3;

class Regions {
  // `hooks`: choose(region), edited(edit, words), preview().
  constructor(element, axis, hooks) {
    Object.assign(this, { element, axis, hooks, list: [], editable: false, buttons: [], drag: null, chosen: null });
    element.addEventListener("pointerdown", (event) => this.begin(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.end(event.timeStamp));
    element.addEventListener("pointercancel", () => this.cancel());
    // Only of keys: what the pointer does is known already.
    element.addEventListener("click", (event) => event.detail === 0 && event.target.place >= 0 && this.choose(event.target.place));
    element.addEventListener("keydown", (event) => this.key(event));
  }

  // What stands already is left alone: something may be dragged or named just now.
  set(list, { editable, labels, snaps }) {
    Object.assign(this, { editable, snaps, colours: new Map(labels) });
    this.element.classList.toggle("editable", editable);
    if (inWords(list) === inWords(this.drag?.before ?? this.list)) return;
    this.cancel();
    this.list = list;
    this.place();
  }

  name(place) {
    return this.list[place].label || String(place + 1);
  }

  colourOf({ label }) {
    return this.colours?.get(label) ?? (this.editable ? WAVE : null);
  }

  countRows() {
    return countOf(rowsOf(this.list));
  }

  // Put the elements where the view has them, one below the other where they overlap.
  place() {
    while (this.buttons.length > this.list.length) this.buttons.pop().remove();
    while (this.buttons.length < this.list.length) this.buttons.push(this.element.appendChild(regionButton()));
    const rows = rowsOf(this.list);
    const count = countOf(rows);
    this.list.forEach((region, place) => {
      const { start, end, id, suggested } = region;
      const button = this.buttons[place];
      const [left, right] = [Math.max(-2, this.axis.x(start)), Math.min(this.axis.width + 2, this.axis.x(end))];
      button.hidden = right < 0 || left > this.axis.width;
      if (button.hidden) return;
      const label = this.name(place);
      button.place = place;
      Object.assign(button.style, { left: `${left}px`, width: `${Math.max(LEAST, right - left)}px` });
      Object.assign(button.style, { top: `calc(${(100 * (rows[place] % count)) / count}% + 1px)`, height: `calc(${100 / count}% - 2px)` });
      button.style.setProperty("--accent", this.colourOf(region) ?? "");
      button.classList.toggle("narrow", right - left < 14);
      button.classList.toggle("suggested", suggested);
      button.setAttribute("aria-pressed", id === this.chosen);
      if (button.textContent !== label) button.textContent = label;
      const words = `${suggested ? "Suggested region" : "Region"} ${label}, ${start.toFixed(2)} to ${end.toFixed(2)} seconds`;
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

  end(now) {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (!drag.moved) return drag.place >= 0 && this.clicked(drag.place, now);
    if (this.editable) this.dropped(drag);
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
    if (twice && this.editable) this.list[place].suggested ? this.accept() : this.rename(place);
    else this.choose(place);
  }

  choose(place) {
    this.chosen = this.list[place].id;
    this.place();
    this.buttons[place].focus({ preventScroll: true });
    this.hooks.choose(this.list[place], this.name(place));
  }

  chooseNone() {
    if (this.chosen === null) return;
    this.chosen = null;
    this.place();
  }

  // The next in order of time, or the one before, round and round.
  chooseNext(way) {
    const { length } = this.list;
    if (!length) return;
    const here = this.list.findIndex(({ id }) => id === this.chosen);
    this.choose(here < 0 ? (way > 0 ? 0 : length - 1) : (here + way + length) % length);
  }
}

const inWords = (list) => JSON.stringify(list.map(({ id, start, end, low, high, label, suggested }) => [id, start, end, low, high, label, suggested]));

// The row of each: the first in which nothing before it still goes on.
function rowsOf(list) {
  const ends = [];
  return list.map(({ start, end }) => {
    const row = ends.findIndex((before) => before <= start + 1e-6);
    const found = row < 0 ? ends.length : row;
    ends[found] = end;
    return found;
  });
}

const countOf = (rows) => Math.min(MOST_ROWS, Math.max(0, ...rows) + 1);

function regionButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "region";
  return button;
}
