// The lane of regions. Each region is an element, so that keys and screen readers reach it, and a click selects it. If
// regions are editable, dragging draws, moves and resizes them, and keys label, split, merge, accept and delete them. Each
// change is one edit with the changed and the deleted regions.

import { clamp } from "./axes.js";
import { WAVE } from "./pictures.js";
import { decimal, t } from "../../language/language.js";

const MIN_WIDTH = 4;
const EDGE_WIDTH = 7;
const SNAP_DISTANCE = 6;
const DOUBLE_CLICK_MS = 400;
const MAX_ROWS = 3;
const SETTLE_AFTER_MS = 500;
// Announcements of edits.
const EDITS = {
  drawn: (at) => t("Region {name}, {from} to {to} seconds, drawn", at),
  moved: (at) => t("Region {name}, {from} to {to} seconds, moved", at),
  resized: (at) => t("Region {name}, {from} to {to} seconds, resized", at),
  labelled: (at) => t("Region {name}, {from} to {to} seconds, labelled", at),
  accepted: (at) => t("Region {name}, {from} to {to} seconds, accepted", at),
  split: (at) => t("Region {name}, {from} to {to} seconds, split", at),
  merged: (at) => t("Region {name}, {from} to {to} seconds, merged with the next", at),
  named: (at) => t("Region {name}, {from} to {to} seconds, named", at),
  dismissed: () => t("Region dismissed"),
  deleted: () => t("Region deleted"),
};

// Continue a drag in a new list from Python, unless the list has changed the dragged region.
function carriedOver(drag, list) {
  const region = drag.before[drag.index];
  const index = region ? list.findIndex((one) => fingerprint([one]) === fingerprint([region])) : -1;
  return index < 0 && drag.part !== "new" ? null : { ...drag, before: list, index };
}

export class Regions {
  // `hooks`: choose(region), edited(edit, words), preview().
  constructor(element, axis, hooks) {
    Object.assign(this, { element, axis, hooks, list: [], editable: false, buttons: [], drag: null, chosen: null });
    element.addEventListener("pointerdown", (event) => this.begin(event));
    element.addEventListener("pointermove", (event) => this.move(event));
    element.addEventListener("pointerup", (event) => this.end(event.timeStamp));
    element.addEventListener("pointercancel", () => this.cancel());
    // Only clicks by key; pointer clicks are handled above.
    element.addEventListener("click", (event) => event.detail === 0 && event.target.index >= 0 && this.choose(event.target.index));
    element.addEventListener("keydown", (event) => this.key(event));
  }

  // Follow the data from Python. An unchanged list is ignored, because a region may be dragged or renamed right now.
  set(list, { editable, labels, snaps }) {
    Object.assign(this, { editable, snaps, colours: new Map(labels), names: new Map(labels.map(([label, , name]) => [label, name])) });
    this.element.classList.toggle("editable", editable);
    if (fingerprint(list) === fingerprint((this.drag ?? this.unsettled)?.before ?? this.list)) return;
    const { unsettled } = this;
    clearTimeout(unsettled?.timer);
    this.unsettled = null;
    const drag = this.drag && carriedOver(this.drag, list);
    this.cancel();
    Object.assign(this, { list, drag });
    if (drag?.moved) this.preview(list, this.draft);
    else this.layOut();
    // An edge that keys have just moved stays where it is, whatever has come from Python.
    const region = unsettled && list.find(({ id }) => id === unsettled.region.id);
    if (region) this.moveEdges({ ...region, start: unsettled.region.start, end: unsettled.region.end });
  }

  // A label as it is displayed: emotions have a name in each language.
  shownLabel(label) {
    return this.names?.get(label) ?? label;
  }

  name(index) {
    // In a mark a number would look like the key of a label.
    return this.shownLabel(this.list[index].label) || (this.editable ? "∅" : String(index + 1));
  }

  colourOf({ label }) {
    return this.colours?.get(label) ?? (this.editable ? WAVE : null);
  }

  stretchOf({ start, end }) {
    return { start, end };
  }

  countRows() {
    return rowCount(rowsOf(this.list));
  }

  // Position the elements in the view, overlapping ones in different rows.
  layOut() {
    const focused = this.element.getRootNode().activeElement;
    if (this.shown !== this.list) this.matchButtons();
    const rows = rowsOf(this.list);
    const count = rowCount(rows);
    this.list.forEach((region, index) => {
      const { start, end, id, suggested } = region;
      const button = this.buttons[index];
      button.index = index;
      const [left, right] = [Math.max(-2, this.axis.x(start)), Math.min(this.axis.width + 2, this.axis.x(end))];
      button.hidden = right < 0 || left > this.axis.width;
      if (button.hidden) return;
      const label = this.name(index);
      Object.assign(button.style, { left: `${left}px`, width: `${Math.max(MIN_WIDTH, right - left)}px` });
      Object.assign(button.style, { top: `calc(${(100 * (rows[index] % count)) / count}% + 1px)`, height: `calc(${100 / count}% - 2px)` });
      button.style.setProperty("--accent", this.colourOf(region) ?? "");
      button.classList.toggle("narrow", right - left < 14);
      button.classList.toggle("suggested", suggested);
      button.setAttribute("aria-pressed", id === this.chosen);
      if (button.textContent !== label) button.textContent = label;
      const fields = this.fieldsOf(index);
      const words = suggested
        ? t("Suggested region {name}, {from} to {to} seconds", fields)
        : t("Region {name}, {from} to {to} seconds", fields);
      if (button.title !== words) button.setAttribute("aria-label", (button.title = words));
    });
    if (focused?.matches(".region")) this.keepFocus(focused);
  }

  // The name and the bounds of a region, as fields of announcements.
  fieldsOf(index) {
    const [from, to] = [this.list[index].start, this.list[index].end].map((time) => decimal(this.axis.origin + time, 2));
    return { name: this.name(index), from, to };
  }

  // Make one element per region, in order of time, which the Tab key follows. A region keeps its element while it exists.
  matchButtons() {
    const before = new Map(this.buttons.map((button) => [button.regionId, button]));
    this.buttons = this.list.map(({ id }) => before.get(id) ?? regionButton(id));
    const present = new Set(this.buttons);
    for (const button of before.values()) if (!present.has(button)) button.remove();
    let next = this.element.firstElementChild;
    for (const button of this.buttons) {
      if (button === next) next = next.nextElementSibling;
      else this.element.insertBefore(button, next);
    }
    this.shown = this.list;
  }

  // If the focused region is gone or out of view, move the focus to the selected region or else the timeline, so that keys
  // still work.
  keepFocus(focused) {
    const visible = (button) => button?.isConnected && !button.hidden;
    const target = [focused, this.buttons[this.chosenIndex()]].find(visible) ?? this.element.parentElement.querySelector(".timeline");
    if (target !== this.element.getRootNode().activeElement) target.focus({ preventScroll: true });
  }

  timeOf(event) {
    return this.axis.time(event.clientX - this.element.getBoundingClientRect().left);
  }

  begin(event) {
    this.settle();
    if (event.button || event.target.matches("input")) return;
    const index = event.target.index ?? -1;
    const time = this.timeOf(event);
    this.drag = { index, time, moved: false, before: this.list, part: index < 0 ? "new" : this.partAt(index, time) };
    if (this.editable) this.element.setPointerCapture(event.pointerId);
  }

  end(now) {
    const { drag } = this;
    this.drag = null;
    if (!drag) return;
    if (!drag.moved) return drag.index >= 0 && this.clicked(drag.index, now);
    if (this.editable) this.dropped(drag);
  }

  cancel() {
    if (this.drag?.moved) this.list = this.drag.before;
    this.drag = null;
    this.layOut();
  }

  // A captured pointer sends no double clicks.
  clicked(index, now) {
    const { id } = this.list[index];
    const isDouble = this.click?.id === id && now - this.click.now < DOUBLE_CLICK_MS;
    this.click = isDouble ? null : { id, now };
    if (!isDouble || !this.editable) this.choose(index);
    else if (this.list[index].suggested) this.accept();
    else this.rename(index);
  }

  choose(index) {
    this.chosen = this.list[index].id;
    this.layOut();
    this.buttons[index].focus({ preventScroll: true });
    this.hooks.choose(this.list[index], this.name(index));
  }

  clearChosen() {
    if (this.chosen === null) return;
    this.chosen = null;
    this.layOut();
  }

  // Select the next or previous region in order of time, wrapping around.
  chooseNext(direction) {
    const { length } = this.list;
    if (!length) return;
    const here = this.list.findIndex(({ id }) => id === this.chosen);
    this.choose(here < 0 ? (direction > 0 ? 0 : length - 1) : (here + direction + length) % length);
  }

  // --- editing ---

  // The part of a region at a time: an edge or the middle. Dragging in the middle of a suggestion draws a new region.
  partAt(index, time) {
    if (!this.editable) return "middle";
    const { start, end, suggested } = this.list[index];
    const reach = Math.min(EDGE_WIDTH, (this.axis.x(end) - this.axis.x(start)) / 3);
    if (Math.abs(this.axis.x(time) - this.axis.x(start)) < reach) return "start";
    if (Math.abs(this.axis.x(time) - this.axis.x(end)) < reach) return "end";
    return suggested ? "new" : "middle";
  }

  // --- with the pointer ---

  move(event) {
    const { drag } = this;
    const time = this.timeOf(event);
    if (!drag) {
      const index = event.target.index ?? -1;
      if (this.editable && index >= 0) event.target.classList.toggle("edge", ["start", "end"].includes(this.partAt(index, time)));
      return;
    }
    drag.moved ||= Math.abs(this.axis.x(time) - this.axis.x(drag.time)) > 3;
    if (!this.editable || !drag.moved) return;
    const region = drag.part === "new" ? (drag.drawn ??= newRegion()) : drag.before[drag.index];
    this.preview(drag.before, { ...region, ...this.dragged(drag, time, !event.altKey) });
  }

  // Show the result while dragging.
  preview(before, region) {
    this.draft = region;
    this.list = inOrder([...before.filter(({ id }) => id !== region.id), region]);
    this.layOut();
    this.hooks.preview();
  }

  dragged({ part, index, time: from, before }, time, snapping) {
    const snapped = (at) => (snapping ? this.snapped(at) : at);
    if (part === "new") {
      const [one, other] = [snapped(from), snapped(clamp(time, 0, this.axis.duration))];
      return { start: Math.min(one, other), end: Math.max(one, other) };
    }
    const { start, end } = before[index];
    const shortest = (MIN_WIDTH / this.axis.width) * this.axis.span;
    if (part === "start") return { start: clamp(snapped(time), 0, end - shortest) };
    if (part === "end") return { end: clamp(snapped(time), start + shortest, this.axis.duration) };
    const by = clamp(time - from, -start, this.axis.duration - end);
    const nearer = [start, end].map((edge) => snapped(edge + by) - edge).find((shift) => Math.abs(shift - by) > 1e-9) ?? by;
    const shift = clamp(nearer, -start, this.axis.duration - end);
    return { start: start + shift, end: end + shift };
  }

  // Snap to the nearest boundary, if one is near.
  snapped(time) {
    let best = time;
    let nearest = SNAP_DISTANCE;
    for (const snap of this.snaps) {
      const distance = Math.abs(this.axis.x(snap) - this.axis.x(time));
      if (distance < nearest) [best, nearest] = [snap, distance];
    }
    return best;
  }

  dropped({ part, before }) {
    const region = this.draft;
    this.list = before;
    if (region.end - region.start < 1e-3) return this.layOut();
    this.commit({ new: "drawn", middle: "moved" }[part] ?? "resized", [region]);
  }

  // Move edges by key: shown at once, and sent as one edit after a pause, or when another key is pressed.
  moveEdges(region) {
    clearTimeout(this.unsettled?.timer);
    const before = this.unsettled?.before ?? this.list;
    this.unsettled = { before, region, timer: setTimeout(() => this.settle(), SETTLE_AFTER_MS) };
    this.preview(before, region);
  }

  settle() {
    const { unsettled } = this;
    if (!unsettled) return;
    clearTimeout(unsettled.timer);
    this.unsettled = null;
    this.list = unsettled.before;
    this.commit("resized", [unsettled.region]);
  }

  // --- edits ---

  chosenIndex() {
    return this.list.findIndex(({ id }) => id === this.chosen);
  }

  // Apply an edit, keep the order of time, and announce it. Changed suggestions become regions.
  commit(what, changed, deleted = []) {
    changed = changed.map((region) => ({ ...region, suggested: false }));
    const replaced = new Set([...deleted, ...changed.map(({ id }) => id)]);
    this.list = inOrder([...this.list.filter(({ id }) => !replaced.has(id)), ...changed]);
    this.chosen = changed[0]?.id ?? null;
    this.click = null; // clicks before and after an edit are no double click
    this.layOut();
    const index = this.chosenIndex();
    if (index >= 0) this.buttons[index].focus({ preventScroll: true });
    this.hooks.edited({ changed, deleted }, EDITS[what](index < 0 ? {} : this.fieldsOf(index)));
  }

  add(stretch) {
    this.commit("drawn", [{ ...newRegion(), ...stretch }]);
  }

  label(label) {
    const region = this.list[this.chosenIndex()];
    if (region && (region.label !== label || region.suggested)) this.commit("labelled", [{ ...region, label }]);
    return Boolean(region);
  }

  accept() {
    const region = this.list[this.chosenIndex()];
    if (region?.suggested) this.commit("accepted", [region]);
  }

  dismiss() {
    const index = this.chosenIndex();
    if (this.list[index]?.suggested) this.delete(index);
  }

  // The second half becomes a new region.
  split(time) {
    const region = this.list[this.chosenIndex()] ?? this.list.find(({ start, end, suggested }) => !suggested && start < time && time < end);
    if (!region || time - region.start < 1e-3 || region.end - time < 1e-3) return false;
    this.commit("split", [{ ...region, end: time }, { ...region, id: newRegion().id, start: time }]);
    return true;
  }

  // Merge with the next region, which is deleted.
  merge() {
    const own = this.list.filter(({ suggested }) => !suggested);
    const index = own.findIndex(({ id }) => id === this.chosen);
    const [one, next] = [own[index], own[index + 1]];
    if (index < 0 || !next) return false;
    const widest = (pick, ...of) => (of.includes(null) ? null : pick(...of));
    const merged = {
      ...one,
      end: Math.max(one.end, next.end),
      low: widest(Math.min, one.low, next.low),
      high: widest(Math.max, one.high, next.high),
    };
    this.commit("merged", [merged], [next.id]);
    return true;
  }

  delete(index) {
    this.commit(this.list[index].suggested ? "dismissed" : "deleted", [], [this.list[index].id]);
    (this.buttons[Math.min(index, this.list.length - 1)] ?? this.element.parentElement.querySelector(".timeline")).focus();
  }

  key(event) {
    const index = event.target.index ?? -1;
    if (!this.editable || index < 0) return;
    if (event.key === "F2") this.rename(index);
    else if (event.key === "Delete" || event.key === "Backspace") this.delete(index);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  rename(index) {
    const { id, label: before, start } = this.list[index];
    const input = document.createElement("input");
    Object.assign(input, { value: this.shownLabel(before) ?? "", maxLength: 80 });
    input.setAttribute("aria-label", t("Name of region {name}", { name: this.name(index) }));
    input.style.left = `${clamp(this.axis.x(start), 0, Math.max(0, this.axis.width - 144))}px`;
    const finish = (save) => {
      if (!input.isConnected) return;
      const typed = input.value.trim() || null;
      const label = [...this.names].find(([, name]) => name === typed)?.[0] ?? typed;
      input.onblur = null;
      input.remove();
      const at = this.list.findIndex((one) => one.id === id);
      if (at < 0) return;
      this.buttons[at].focus({ preventScroll: true });
      if (save && label !== before) this.commit("named", [{ ...this.list[at], label }]);
    };
    input.onblur = () => finish(true);
    input.onkeydown = (event) => {
      event.stopPropagation();
      if (event.key !== "Enter" && event.key !== "Escape") return;
      event.preventDefault(); // otherwise it would click the region, which gets the focus next
      finish(event.key === "Enter");
    };
    this.element.append(input);
    input.focus();
    input.select();
  }
}

const fingerprint = (list) => JSON.stringify(list.map(({ id, start, end, low, high, label, suggested, state }) => [id, start, end, low, high, label, suggested, state ?? ""]));

// The row of each region: the first that is free at its start.
function rowsOf(list) {
  const ends = [];
  return list.map(({ start, end }) => {
    const row = ends.findIndex((before) => before <= start + 1e-6);
    const found = row < 0 ? ends.length : row;
    ends[found] = end;
    return found;
  });
}

const rowCount = (rows) => Math.min(MAX_ROWS, Math.max(0, ...rows) + 1);

function regionButton(id) {
  const button = document.createElement("button");
  button.regionId = id;
  button.type = "button";
  button.className = "region";
  return button;
}

// The same order as in Python.
const inOrder = (list) => [...list].sort((one, other) => one.start - other.start || (one.id < other.id ? -1 : 1));

// Not crypto.randomUUID, which browsers offer only on https or localhost.
export function newRegion() {
  const id = `new ${Date.now()} ${Math.random().toString(36).slice(2)}`;
  return { id, low: null, high: null, label: null, suggested: false };
}
