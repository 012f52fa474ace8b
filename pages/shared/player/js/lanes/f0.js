// Correct F0 by hand: the mode, its bar below the lanes, and drawing with the pointer. Python computes the effect of a
// correction on each frame; the same effect is shown here at once.

import { icon } from "../controls.js";
import { newRegion } from "../regions.js";
import { MEASURED_F0, ROWS } from "./measures.js";
import { octaveScale } from "./scales.js";
import { clamp } from "../axes.js";
import { decimal, t } from "../../../language/language.js";

const UNVOICED = 0;
const DEFAULT_RANGE = [75, 500];

// Operations on the frames of the selection: key, name, announcement, and the new F0 for an F0 in Hz (0 if unvoiced).
const OPERATIONS = {
  halve: { key: "↓", words: t("Halve"), said: t("F0 halved"), newHz: (hz) => hz / 2 },
  double: { key: "↑", words: t("Double"), said: t("F0 doubled"), newHz: (hz) => 2 * hz },
  unvoice: { key: "U", words: t("Unvoice"), said: t("Made unvoiced"), newHz: () => UNVOICED },
  voice: { key: "Y", words: t("Voice again"), said: t("Voiced as measured"), newHz: (hz, measured) => hz || measured },
  reset: { key: "B", words: t("As measured"), said: t("F0 as it was measured"), newHz: (_, measured) => measured },
};

export class F0Correction {
  on = false;

  constructor(player) {
    Object.assign(this, { player, find: player.find, stroke: null });
    this.find(".f0 .sign").innerHTML = icon("draw");
    this.find(".f0 .toggle").addEventListener("click", () => this.toggle());
    const buttons = Object.entries(OPERATIONS).map(([name, { key, words }]) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: words, title: `${words} (${key})` });
      button.addEventListener("click", () => this.apply(name));
      return button;
    });
    this.find(".f0 .operations").append(...buttons);
    this.line = this.find(".f0 form");
    this.line.addEventListener("submit", (event) => this.typed(event));
    this.line.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Escape") player.timeline.focus({ preventScroll: true });
    });
  }

  get offered() {
    const { data } = this.player;
    return Boolean(data.editable && data.f0 && data.measures);
  }

  // --- the mode ---

  toggle() {
    if (!this.offered) return;
    this.on = !this.on;
    if (this.on && !this.player.menu.isShown("f0")) this.player.menu.change({}, { f0: true });
    this.player.announce(this.on ? t("F0 can be corrected: draw in its lane, or select a stretch") : t("F0 is no longer corrected"));
    this.show();
    this.player.view.layOut();
  }

  // Update the bar below the lanes.
  show() {
    const { data, menu, selection } = this.player;
    const bar = this.find(".f0");
    if (!this.offered) this.on = false;
    bar.hidden = !(this.offered && (this.on || menu.isShown("f0")));
    this.find(".player").classList.toggle("correcting", this.on);
    if (bar.hidden) return;
    this.find(".f0 .toggle").setAttribute("aria-pressed", this.on);
    const words = this.find(".f0 .words");
    if (words.textContent !== data.f0.words) words.textContent = data.f0.words;
    const can = Boolean(selection) && data.measures.state === "done";
    for (const control of [...this.find(".f0 .operations").children, ...this.line.elements]) control.disabled = !can;
    this.find(".f0 .operations").hidden = this.line.hidden = !this.on;
  }

  // The scale of the lane while F0 is corrected: an octave beyond the measured F0, and all corrected F0. So it does not
  // change while frames are halved.
  get scale() {
    if (!this.on) return null;
    const { f0, measures } = this.player.data;
    const [minMeasured, maxMeasured] = measures.ranges?.measured ?? DEFAULT_RANGE;
    const [min, max] = measures.ranges?.f0 ?? DEFAULT_RANGE;
    const low = Math.max(f0.limits[0], Math.min(minMeasured / 2, min));
    return octaveScale(low, Math.min(f0.limits[1], Math.max(2 * maxMeasured, max)));
  }

  // The values to draw. Until Python has answered an edit, these are the values that were edited, which show the edit
  // already. New values are drawn where their tiles have arrived.
  valuesOf(measures, valuesOf) {
    const { id } = this.player.data.recording;
    const previous = this.recording === id ? this.values : null;
    const isWaiting = this.player.messages.pending.some(({ command }) => command === "f0");
    if (isWaiting && previous) return previous;
    const values = valuesOf(measures);
    if (values !== previous) {
      if (previous) previous.fallback = null;
      const hasSameShape = previous?.start === values.start && previous.levels[0].columns === values.levels[0].columns;
      values.fallback = hasSameShape ? previous : null;
    }
    Object.assign(this, { values, recording: id });
    return values;
  }

  // --- operations on a selection ---

  apply(name) {
    const { player } = this;
    const { selection } = player;
    if (!selection) return player.announce(t("Select a stretch first"));
    const { newHz, said } = OPERATIONS[name];
    this.change(selection, newHz, { value: name }, said);
  }

  // Type F0 at both ends of the selection.
  type() {
    if (!this.player.selection) return this.player.announce(t("Select a stretch first"));
    const [from] = this.line.elements;
    from.focus({ preventScroll: true });
    from.select();
  }

  typed(event) {
    event.preventDefault();
    const { player } = this;
    const [from, to] = [...this.line.elements].slice(0, 2).map(({ value }) => Number(value.replace(",", ".")));
    const last = this.line.elements[1].value.trim() ? to : from;
    if (!this.isPossible(from) || !this.isPossible(last)) return this.announceLimits();
    const frames = this.framesIn(player.selection);
    if (!frames.length) return player.announce(t("Select a stretch first"));
    player.timeline.focus({ preventScroll: true });
    this.draw(new Map(frames.map((frame, index) => [frame, from + ((last - from) * index) / Math.max(1, frames.length - 1)])));
  }

  isPossible(hz) {
    const [low, high] = this.player.data.f0.limits;
    return hz >= low && hz <= high;
  }

  announceLimits() {
    const [low, high] = this.player.data.f0.limits;
    const words = t("F0 can be {low} to {high} Hz", { low, high });
    this.player.announce(words);
    this.player.showReadout(words);
  }

  framesIn({ start, end }) {
    const { start: origin, column, levels } = this.values;
    const first = Math.max(0, Math.ceil((start - origin) / column - 0.5 - 1e-6));
    const endFrame = Math.min(levels[0].columns, Math.ceil((end - origin) / column - 0.5 - 1e-6));
    return Array.from({ length: Math.max(0, endFrame - first) }, (_, index) => first + index);
  }

  // Show a change of a stretch and send it, unless a frame would leave the range or nothing would change.
  change(stretch, newHz, edit, said) {
    const { player } = this;
    const frames = this.isReady() && this.framesIn(stretch).map((frame) => this.frame(frame)).filter(Boolean);
    if (!frames) return;
    const after = frames.map(({ hz, measured, frame }) => newHz(hz, measured, frame));
    if (after.some((hz) => hz !== UNVOICED && !this.isPossible(hz))) return this.announceLimits();
    const changed = frames.some(({ hz, isCorrected }, index) => after[index] !== hz || (edit.value === "reset" && isCorrected));
    if (frames.length && !changed) return player.announce(t("There is nothing to change in the selection"));
    frames.forEach((one, index) => this.put(one, after[index]));
    player.announce(said);
    player.showReadout(said);
    player.messages.sendEdit({ command: "f0", changed: [{ ...newRegion(), start: stretch.start, end: stretch.end }], ...edit });
    player.view.refresh();
  }

  isReady() {
    const { picture } = this.player.view;
    if (picture?.tracks.message || !this.values) {
      this.player.announce(picture?.tracks.message ?? t("Measuring …"));
      return false;
    }
    return true;
  }

  // --- frames ---

  // The F0 of a frame, as shown and as measured; null while it is being fetched.
  frame(frame) {
    const { tile: size } = this.values.levels[0];
    const tile = this.values.tile(0, Math.floor(frame / size));
    if (!tile) return null;
    const at = (frame - tile.first) * ROWS;
    const [shown, original] = [tile.data[at], tile.data[at + MEASURED_F0]];
    const isCorrected = !Number.isNaN(original);
    const hz = Number.isNaN(shown) ? UNVOICED : shown;
    return { frame, tile, at, hz, isCorrected, measured: isCorrected ? original : hz };
  }

  put({ tile, at, measured }, hz) {
    tile.data[at] = hz === UNVOICED ? NaN : hz;
    tile.data[at + MEASURED_F0] = hz === measured ? NaN : measured;
  }

  // --- drawing ---

  canDraw({ y }) {
    const lane = this.player.view.lanes.lanes.f0;
    return this.on && lane && y >= lane.top && y < lane.bottom && this.isReady();
  }

  pointAt({ x, y }) {
    const { view, axis } = this.player;
    const lane = view.lanes.lanes.f0;
    const hz = view.picture.f0.hz(clamp((lane.bottom - y) / lane.height, 0, 1));
    const frame = Math.floor((axis.time(x) - this.values.start) / this.values.column);
    return { frame: clamp(frame, 0, this.values.levels[0].columns - 1), hz: clamp(hz, ...this.player.data.f0.limits) };
  }

  beginStroke(at) {
    this.stroke = { last: this.pointAt(at), drawn: new Map(), before: new Map() };
  }

  // Draw a line from the last position of the pointer to this one.
  strokeTo(at) {
    const { stroke } = this;
    const { last } = stroke;
    const point = this.pointAt(at);
    const direction = Math.sign(point.frame - last.frame);
    for (let frame = last.frame; ; frame += direction) {
      const share = direction ? (frame - last.frame) / (point.frame - last.frame) : 1;
      const found = this.frame(frame);
      const hz = last.hz + share * (point.hz - last.hz);
      if (found) {
        if (!stroke.before.has(frame)) stroke.before.set(frame, found);
        this.put({ ...found, measured: stroke.before.get(frame).measured }, hz);
        stroke.drawn.set(frame, hz);
      }
      if (frame === point.frame) break;
    }
    stroke.last = point;
    this.player.showReadout(`${this.player.axis.clock(this.player.axis.time(at.x), 3)} · F0 ${decimal(point.hz, 0)} Hz`);
    this.player.view.redraw();
  }

  endStroke() {
    const { drawn } = this.stroke;
    this.cancelStroke();
    if (drawn.size) this.draw(drawn);
  }

  cancelStroke() {
    for (const found of this.stroke?.before.values() ?? []) this.put(found, found.hz);
    this.stroke = null;
    this.player.view.redraw();
  }

  // Replace F0 frame by frame, without a gap.
  draw(drawn) {
    const { start, column } = this.values;
    const frames = [...drawn.keys()].sort((one, other) => one - other);
    if (frames.at(-1) - frames[0] >= frames.length) return this.player.announce(t("Measuring …")); // a frame had not arrived yet
    const stretch = { start: start + frames[0] * column, end: start + (frames.at(-1) + 1) * column };
    const hz = frames.map((frame) => drawn.get(frame));
    this.change(stretch, (_hz, _measured, frame) => drawn.get(frame), { value: "draw", hz }, t("F0 drawn"));
  }
}
