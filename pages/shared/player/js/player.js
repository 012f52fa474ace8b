// The player: its view, its playback and the selected time range, which keys, pointer and buttons change.

import { TimeAxis, clamp } from "./axes.js";
import { Bounds } from "./input/bounds.js";
import { FrequencyBoxes } from "./input/boxes.js";
import { Charts } from "./charts.js";
import { Bar, RegionTable, Transcript } from "./controls.js";
import { Focus } from "./input/focus.js";
import { TimelineGestures, attachMinimap } from "./input/gestures.js";
import { pressKey } from "./input/keys.js";
import { F0Correction } from "./lanes/f0.js";
import { LanesMenu } from "./lanes/menu.js";
import { Tiers } from "./lanes/tiers.js";
import { Marks } from "./marks.js";
import { readoutAt } from "./pictures.js";
import { Commands } from "./python/commands.js";
import { Contents } from "./python/contents.js";
import { Messages } from "./python/messages.js";
import { Regions } from "./regions.js";
import { Sound } from "./sound.js";
import { View } from "./view.js";
import { decimal, t } from "../../language/language.js";

const players = new WeakMap();

// Streamlit calls this when the player is added to the page, and again when data or theme change. It also cleans up
// after a call that a newer one interrupted, so the player is destroyed only when it has left the page.
export default function mount(component) {
  const root = component.parentElement;
  if (!players.has(root)) players.set(root, new Player(root));
  players.get(root).contents.update(component);
  return () => {
    if (root.isConnected) return;
    players.get(root)?.destroy();
    players.delete(root);
  };
}

class Player {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.axis = new TimeAxis(1);
    this.selection = null;
    this.scrubbed = null; // position of the playhead while it is dragged
    this.marks = new Marks(this);
    this.contents = new Contents(this);
    this.messages = new Messages(this);
    this.commands = new Commands(this);
    this.sound = new Sound(this.find("audio"), (event) => this.soundChanged(event));
    this.regions = new Regions(this.find(".regions"), this.axis, {
      choose: (region, name) => this.marks.chooseRegion(region, name),
      edited: (edit, words) => this.marks.regionsEdited(edit, words),
      preview: () => this.view.redraw(),
    });
    this.tiers = new Tiers(this);
    this.timeline = this.find(".timeline");
    this.bounds = new Bounds(this, this.find(".bounds"));
    this.focus = new Focus(this);
    this.boxes = new FrequencyBoxes(this);
    this.gestures = new TimelineGestures(this, this.timeline);
    attachMinimap(this, this.find(".minimap"));
    root.addEventListener("keydown", (event) => pressKey(this, event));
    this.table = new RegionTable(this.find(".table"), (index, loop) => this.marks.playRegion(index, loop));
    this.transcript = new Transcript(this.find(".transcript"), (stretch) => this.playStretch(stretch));
    this.bar = new Bar(this);
    this.menu = new LanesMenu(this);
    this.f0 = new F0Correction(this);
    this.view = new View(this);
    this.charts = new Charts(this);
  }

  destroy() {
    this.view.destroy();
    this.charts.destroy();
    this.focus.destroy();
    this.messages.destroy();
    this.sound.destroy();
  }

  // --- the view ---

  show(start, end) {
    this.axis.show(start, end);
    this.view.redraw();
  }

  pan(seconds) {
    this.axis.pan(seconds);
    this.view.redraw();
  }

  // Zoom about the playhead if it is visible, else about the centre.
  zoom(factor, about = null) {
    const { axis } = this;
    const { position } = this.sound;
    const seen = position >= axis.start && position <= axis.end;
    axis.zoom(factor, about ?? (seen ? position : (axis.start + axis.end) / 2));
    this.view.redraw();
  }

  showAll() {
    this.axis.showAll();
    this.view.redraw();
  }

  zoomToSelection() {
    if (!this.selection) return this.announce(t("Select a stretch first"));
    const { start, end } = this.selection;
    const margin = 0.05 * (end - start);
    this.show(start - margin, end + margin);
  }

  // Fill the window, above everything else on the page.
  toggleFull() {
    const { timeline } = this;
    const box = this.find(".player");
    this.full = !this.full;
    box.popover = this.full ? "manual" : null;
    if (this.full) box.showPopover();
    this.find(".bar .full").setAttribute("aria-pressed", this.full);
    this.announce(this.full ? t("Fills the window") : t("Back on the page"));
    timeline.focus({ preventScroll: true });
    this.view.layOut();
  }

  // --- time ---

  toggle() {
    if (this.sound.run) return this.sound.stop();
    const { selection } = this;
    const at = this.sound.position;
    const isWithin = selection && at >= selection.start - 1e-3 && at <= selection.end + 1e-3;
    this.sound.play(isWithin ? selection : null);
  }

  playView() {
    const { start, end } = this.axis;
    this.sound.stop();
    this.sound.seek(start);
    this.sound.play({ start, end });
  }

  seek(time) {
    this.sound.seek(time);
    if (this.axis.follow(time)) this.view.redraw();
  }

  step(direction) {
    this.seek(clamp(this.sound.position + (direction * this.axis.span) / 50, 0, this.axis.duration));
  }

  scrub(time) {
    this.scrubbed = time;
    this.view.wake();
  }

  endScrub(time) {
    this.scrubbed = null;
    this.seek(time);
  }

  // A click on a word or another person's mark selects and plays it.
  click({ x, y }) {
    const time = this.axis.time(x);
    const stretch = this.view.lanes.stretchAt(time, y);
    if (stretch) return this.playStretch(stretch);
    const { selection } = this;
    if (selection && (time < selection.start || time > selection.end)) {
      this.setSelection(null, true);
      this.marks.clearChosen();
    }
    this.seek(time);
  }

  toggleLoop() {
    this.sound.setLoop(!this.sound.loop);
    this.find(".loop").setAttribute("aria-pressed", this.sound.loop);
    this.announce(this.sound.loop ? t("Loop on") : t("Loop off"));
  }

  // --- the selection ---

  setSelection(selection, done = false) {
    this.selection = selection;
    this.view.placeSelection();
    this.bounds.show();
    this.menu.measure();
    if (this.data) this.f0.show();
    if (!done) return;
    if (!selection) return this.announce(t("Selection cleared"));
    this.sound.prepare(selection);
    const { start, end } = selection;
    const { axis } = this;
    const [from, to, length] = [axis.origin + start, axis.origin + end, end - start].map((time) => decimal(time, 3));
    this.announce(t("Selected {from} to {to} seconds, {length} seconds long", { from, to, length }));
    this.showSelection();
  }

  showSelection() {
    if (!this.selection) return this.showReadout("");
    const { start, end } = this.selection;
    const [from, to] = [start, end].map((time) => this.axis.clock(time, 3));
    this.showReadout(t("Selected {from} to {to}: {length} s", { from, to, length: decimal(end - start, 3) }));
  }

  // Select the range between two times, in either order; with `done`, playback moves there.
  select(from, to, done = false) {
    const selection = { start: Math.min(from, to), end: Math.max(from, to) };
    if (selection.end - selection.start < 1e-4) return this.setSelection(null, done);
    this.setSelection(selection, done);
    if (!done) return;
    this.marks.clearChosen();
    const playing = this.sound.run;
    this.sound.stop(selection.start);
    if (playing) this.sound.play(selection);
    else this.sound.seek(selection.start);
  }

  // Extend the selection. One end stays fixed: at first the playhead, later the end that was not moved last.
  extend(direction) {
    const { selection, axis } = this;
    if (!selection) this.fixedEnd = this.sound.position;
    else if (this.fixedEnd !== selection.end) this.fixedEnd = selection.start;
    const other = !selection ? this.fixedEnd : this.fixedEnd === selection.start ? selection.end : selection.start;
    const to = clamp(other + (direction * axis.span) / 50, 0, axis.duration);
    const [start, end] = [Math.min(this.fixedEnd, to), Math.max(this.fixedEnd, to)];
    this.setSelection(end > start ? { start, end } : null, true);
    this.marks.clearChosen();
    if (axis.follow(to)) this.view.redraw();
  }

  escape() {
    if (!this.find(".help").hidden) return this.bar.help();
    if (!this.find(".menu").hidden) return this.menu.toggle();
    if (this.f0.on && !this.selection && !this.commands.question) return this.f0.toggle();
    if (this.full && !this.selection && !this.commands.question) return this.toggleFull();
    this.setSelection(null, true);
    this.marks.clearChosen();
    this.commands.question = null;
    this.showReadout("");
  }

  playStretch({ start, end }) {
    this.marks.clearChosen();
    this.setSelection({ start, end }, true);
    this.sound.stop();
    this.sound.seek(start);
    this.sound.play(this.selection);
  }

  // Play from a time on.
  playFrom(time) {
    this.setSelection(null);
    this.sound.stop();
    this.seek(time);
    this.sound.play();
  }

  // Play the region at a time, else from shortly before it to shortly after.
  playAround(time, before, after) {
    const region = this.regions.list.find(({ start, end }) => start <= time && time < end);
    const { start, end } = region ?? { start: Math.max(0, time - before), end: Math.min(this.axis.duration, time + after) };
    this.playStretch({ start, end });
  }

  // --- status texts ---

  announce(words) {
    this.find(".said").textContent = words;
  }

  showReadout(words) {
    this.find(".readout").textContent = words;
  }

  point(at) {
    const pointer = this.find(".pointer");
    const inside = at && at.x >= 0 && at.x <= this.axis.width && this.view.picture;
    const cross = this.find(".cross");
    pointer.hidden = !inside;
    cross.hidden = !inside || !["spectrogram", "spectrum"].includes(this.view.lanes.laneAt(at.y));
    if (!inside) return;
    cross.style.transform = `translateY(${at.y}px)`;
    pointer.style.transform = `translateX(${at.x}px)`;
    if (!this.gestures.drag?.moved) this.showReadout(readoutAt(this.view.picture, this.view.lanes, this.axis, at));
    else if (this.selection) {
      const { start, end } = this.selection;
      const [from, to, length] = [this.axis.clock(start, 3), this.axis.clock(end, 3), decimal(end - start, 3)];
      this.showReadout(t("{from} to {to}: {length} s", { from, to, length }));
    }
  }

  soundChanged(event) {
    const playing = Boolean(this.sound.run);
    this.find(".silent").hidden = event !== "silent";
    if (event === "play" || event === "pause") {
      this.bar.showPlaying(playing);
      const at = decimal(this.axis.origin + this.sound.position, 2);
      this.announce(playing ? t("Playing") : t("Paused at {at} seconds", { at }));
    }
    this.view.wake();
  }
}
