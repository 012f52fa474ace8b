// What can be done to regions that may be edited: dragging draws, moves and resizes them, keys label, split, merge, accept
// and delete them. Each deed is one edit, which says what is there now and what is there no more.

const EDGE = 7;
const SNAP = 6;

Object.assign(Regions.prototype, {
  // Which part of a region a time lies on: an edge, or what lies between. In the middle of a suggestion a new one is drawn.
  partAt(place, time) {
    if (!this.editable) return "middle";
    const { start, end, suggested } = this.list[place];
    const reach = Math.min(EDGE, (this.axis.x(end) - this.axis.x(start)) / 3);
    if (Math.abs(this.axis.x(time) - this.axis.x(start)) < reach) return "start";
    if (Math.abs(this.axis.x(time) - this.axis.x(end)) < reach) return "end";
    return suggested ? "new" : "middle";
  },

  // --- with the pointer ---

  move(event) {
    const { drag } = this;
    const time = this.timeOf(event);
    if (!drag) {
      const place = event.target.place ?? -1;
      if (this.editable && place >= 0) event.target.classList.toggle("edge", ["start", "end"].includes(this.partAt(place, time)));
      return;
    }
    drag.moved ||= Math.abs(this.axis.x(time) - this.axis.x(drag.time)) > 3;
    if (!this.editable || !drag.moved) return;
    const region = drag.part === "new" ? nothingYet() : drag.before[drag.place];
    this.preview(drag.before, { ...region, ...this.dragged(drag, time, !event.altKey) });
  },

  // Show what would be there, as long as something is dragged.
  preview(before, region) {
    this.draft = region;
    this.list = inOrder([...before.filter(({ id }) => id !== region.id), region]);
    this.place();
    this.hooks.preview();
  },

  dragged({ part, place, time: from, before }, time, snapping) {
    const snapped = (at) => (snapping ? this.snapped(at) : at);
    if (part === "new") {
      const [one, other] = [snapped(from), snapped(clamp(time, 0, this.axis.duration))];
      return { start: Math.min(one, other), end: Math.max(one, other) };
    }
    const { start, end } = before[place];
    const least = (LEAST / this.axis.width) * this.axis.span;
    if (part === "start") return { start: clamp(snapped(time), 0, end - least) };
    if (part === "end") return { end: clamp(snapped(time), start + least, this.axis.duration) };
    const by = clamp(time - from, -start, this.axis.duration - end);
    const nearer = [start, end].map((edge) => snapped(edge + by) - edge).find((way) => Math.abs(way - by) > 1e-9) ?? by;
    const way = clamp(nearer, -start, this.axis.duration - end);
    return { start: start + way, end: end + way };
  },

  // A boundary of segments, focus, words or other marks, where one is near.
  snapped(time) {
    let best = time;
    let least = SNAP;
    for (const snap of this.snaps) {
      const far = Math.abs(this.axis.x(snap) - this.axis.x(time));
      if (far < least) [best, least] = [snap, far];
    }
    return best;
  },

  dropped({ part, before }) {
    const region = this.draft;
    this.list = before;
    if (region.end - region.start < 1e-3) return this.place();
    this.commit({ new: "drawn", middle: "moved" }[part] ?? "resized", [region]);
  },

  // --- deeds ---

  chosenPlace() {
    return this.list.findIndex(({ id }) => id === this.chosen);
  },

  // Change what is there, in order of time, and say what was done; what was suggested is so no more.
  commit(what, changed, deleted = []) {
    changed = changed.map((region) => ({ ...region, suggested: false }));
    const gone = new Set([...deleted, ...changed.map(({ id }) => id)]);
    this.list = inOrder([...this.list.filter(({ id }) => !gone.has(id)), ...changed]);
    this.chosen = changed[0]?.id ?? null;
    this.place();
    const place = this.chosenPlace();
    if (place >= 0) this.buttons[place].focus({ preventScroll: true });
    const region = changed[0];
    const where = region ? ` ${this.name(place)}, ${region.start.toFixed(2)} to ${region.end.toFixed(2)} seconds,` : "";
    this.hooks.edited({ changed, deleted }, `Region${where} ${what}`);
  },

  add(stretch) {
    this.commit("drawn", [{ ...nothingYet(), ...stretch }]);
  },

  label(label) {
    const region = this.list[this.chosenPlace()];
    if (region && (region.label !== label || region.suggested)) this.commit("labelled", [{ ...region, label }]);
    return Boolean(region);
  },

  accept() {
    const region = this.list[this.chosenPlace()];
    if (region?.suggested) this.commit("accepted", [region]);
  },

  // The second half is new.
  split(time) {
    const region = this.list[this.chosenPlace()] ?? this.list.find(({ start, end, suggested }) => !suggested && start < time && time < end);
    if (!region || time - region.start < 1e-3 || region.end - time < 1e-3) return false;
    this.commit("split", [{ ...region, end: time }, { ...region, id: nothingYet().id, start: time }]);
    return true;
  },

  // With the next one in time, which goes.
  merge() {
    const own = this.list.filter(({ suggested }) => !suggested);
    const place = own.findIndex(({ id }) => id === this.chosen);
    const [one, next] = [own[place], own[place + 1]];
    if (place < 0 || !next) return false;
    const widest = (pick, ...of) => (of.includes(null) ? null : pick(...of));
    const merged = {
      ...one,
      end: Math.max(one.end, next.end),
      low: widest(Math.min, one.low, next.low),
      high: widest(Math.max, one.high, next.high),
    };
    this.commit("merged with the next", [merged], [next.id]);
    return true;
  },

  delete(place) {
    this.commit(this.list[place].suggested ? "dismissed" : "deleted", [], [this.list[place].id]);
    (this.buttons[Math.min(place, this.list.length - 1)] ?? this.element.previousElementSibling).focus();
  },

  key(event) {
    const place = event.target.place ?? -1;
    if (!this.editable || place < 0) return;
    if (event.key === "F2") this.rename(place);
    else if (event.key === "Delete" || event.key === "Backspace") this.delete(place);
    else return;
    event.preventDefault();
    event.stopPropagation();
  },

  rename(place) {
    const { id, label: before, start } = this.list[place];
    const input = document.createElement("input");
    Object.assign(input, { value: before ?? "", maxLength: 80 });
    input.setAttribute("aria-label", `Name of region ${this.name(place)}`);
    input.style.left = `${clamp(this.axis.x(start), 0, Math.max(0, this.axis.width - 144))}px`;
    const done = (keep) => {
      if (!input.isConnected) return;
      const label = input.value.trim() || null;
      input.onblur = null;
      input.remove();
      const at = this.list.findIndex((one) => one.id === id);
      if (at < 0) return;
      this.buttons[at].focus({ preventScroll: true });
      if (keep && label !== before) this.commit("named", [{ ...this.list[at], label }]);
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
  },
});

// As Python orders them too.
const inOrder = (list) => [...list].sort((one, other) => one.start - other.start || (one.id < other.id ? -1 : 1));

// Not crypto.randomUUID, which browsers have only where the address is https or localhost.
function nothingYet() {
  const id = `new ${Date.now()} ${Math.random().toString(36).slice(2)}`;
  return { id, low: null, high: null, label: null, suggested: false };
}
