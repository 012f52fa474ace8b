// The player: its actions, whether from keys, pointer or buttons, and the data from Python.

import { TimeAxis, clamp, clock, hzAt } from "./axes.js";
import { Bounds } from "./input/bounds.js";
import { Charts } from "./charts.js";
import { Bar, RegionTable, Transcript } from "./controls.js";
import { Focus } from "./input/focus.js";
import { TimelineGestures, attachMinimap } from "./input/gestures.js";
import { VALUES, pressKey } from "./input/keys.js";
import { F0Correction } from "./lanes/f0.js";
import { LanesMenu } from "./lanes/menu.js";
import { Tiers } from "./lanes/tiers.js";
import { Messages } from "./messages.js";
import { WAVE, readoutAt } from "./pictures.js";
import { Regions, nothingYet } from "./regions.js";
import { Sound } from "./sound.js";
import { View } from "./view.js";
import { decimal, t } from "../../language/language.js";

const players = new WeakMap();
const TURNS = ["previous", "next"];
const LONGEST_ANALYSED = 600;
// A mark of less than this share of the recording is shown with this much around it when the recording is opened for it.
const LEAST_SHARE = 0.01;
const ROOM_S = 5;
// What is played of a point that is not shown.
const LEAST_S = 0.15;
const arrived = new Set();

// Streamlit calls this when the player is added to the page, and again when data or theme change. It also cleans up after
// an overtaken call, so the player ends only when it has left the page.
export default function mount(component) {
  const root = component.parentElement;
  if (!players.has(root)) players.set(root, new Player(root));
  players.get(root).update(component);
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
    this.held = []; // keys for the recording that is being opened
    this.scrubbed = null; // position of the playhead while it is dragged
    this.messages = new Messages(this);
    this.sound = new Sound(this.find("audio"), (why) => this.soundChanged(why));
    this.regions = new Regions(this.find(".regions"), this.axis, {
      choose: (region, name) => this.chooseRegion(region, name),
      edited: (edit, words) => this.regionsEdited(edit, words),
      preview: () => this.view.redraw(),
    });
    this.tiers = new Tiers(this);
    this.timeline = this.find(".timeline");
    this.bounds = new Bounds(this, this.find(".bounds"));
    this.focus = new Focus(this);
    this.gestures = new TimelineGestures(this, this.timeline);
    attachMinimap(this, this.find(".minimap"));
    root.addEventListener("keydown", (event) => pressKey(this, event));
    this.table = new RegionTable(this.find(".table"), (index, loop) => this.playRegion(index, loop));
    this.transcript = new Transcript(this.find(".transcript"), (stretch) => this.playStretch(stretch));
    this.bar = new Bar(this);
    this.menu = new LanesMenu(this);
    this.f0 = new F0Correction(this);
    this.view = new View(this);
    this.charts = new Charts(this);
  }

  // --- data from Python ---

  update({ data, setStateValue }) {
    const turned = data.owner !== this.data?.owner;
    this.messages.update(data, setStateValue, turned);
    // The next recording may be shown already, while Python still tells of the last one.
    if (this.turning && this.messages.pending.some(({ command }) => TURNS.includes(command))) return;
    const analysed = this.analysing && !this.messages.pending.some(({ command }) => command === "analyse");
    if (this.turning || analysed) this.read("");
    this.turning = false;
    if (analysed) this.analysing = false;
    const held = this.held.splice(0);
    const before = this.openedFrom ?? this.data?.recording.url;
    this.openedFrom = null;
    this.present(data, turned);
    if (data.arrival) this.arrive(data.arrival);
    this.messages.showSaved();
    if (turned && this.messages.pending.length) this.messages.tellEditing();
    this.menu.offer(setStateValue);
    this.sound.fetchAhead(data.ahead?.recording);
    if (data.recording.url !== before) for (const event of held) pressKey(this, event);
  }

  present(data, turned = false) {
    const another = data.recording.url !== this.data?.recording.url;
    if (another) this.open(data);
    this.data = data;
    if (another && data.editable) this.focus.takeAtOpening();
    if (another || turned || !this.messages.pending.length) {
      this.regions.set(data.regions, data);
      this.tiers.set(data.tiers, data.snaps);
    }
    this.selectChosen();
    this.showState();
    this.view.loadScores(data.scores);
    this.bar.offerOverlays();
    this.find(".bar .analyse").hidden = !(data.editable && data.recording.long);
    this.bar.offerVersions();
    this.transcript.set(data.words);
    this.table.set(data.regionTable);
    this.find(".player").setAttribute("aria-label", t("Player of {name}", { name: data.recording.name }));
    this.timeline.setAttribute("aria-label", t("Position in {name}", { name: data.recording.name }));
    const { origin, duration } = data.recording;
    this.timeline.setAttribute("aria-valuemin", origin.toFixed(2));
    this.timeline.setAttribute("aria-valuemax", (origin + duration).toFixed(2));
    this.find(".player").style.setProperty("--accent", data.accent ?? WAVE);
    this.view.layOut();
  }

  // A recording that was opened for one of its marks: select and play it, once.
  arrive({ number, id, start, end }) {
    if (arrived.has(number)) return;
    arrived.add(number);
    if (end - start < LEAST_SHARE * this.axis.duration) this.show(start - ROOM_S, end + ROOM_S);
    const row = [this.regions, ...this.tiers.rows].find(({ list }) => list.some((region) => region.id === id));
    if (!row) return this.playStretch({ start, end: Math.max(end, start + LEAST_S) });
    row.choose(row.list.findIndex((region) => region.id === id));
    this.sound.play(this.selection);
  }

  // The next recording, as far as it is known before Python opens it; its marks are not.
  presentAhead() {
    const { data } = this;
    const tiers = data.tiers.map((tier) => ({ ...tier, marks: [] }));
    const nothing = { overlays: [], profile: null, scores: null, regions: [], tiers, words: [], others: [], state: "", done: false };
    const awaited = data.profile ? ["profile", "scores"] : data.awaited;
    this.openedFrom = data.recording.url;
    const measures = data.measures && { ...data.measures, state: "running" };
    const f0 = data.f0 && { ...data.f0, words: "" };
    this.present({ ...data, ...nothing, awaited, measures, f0, ...data.ahead, ahead: null });
  }

  open({ recording }) {
    this.axis.duration = recording.duration;
    this.axis.origin = recording.origin;
    this.axis.showAll();
    this.setSelection(null);
    this.tiers.chooseNone();
    this.regions.chosen = null;
    this.question = null;
    this.sound.load(recording.url, recording.duration);
    const until = recording.origin + recording.duration;
    this.find(".clock .whole").textContent = ` / ${clock(until, 2)}${until < 60 ? " s" : ""}`;
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
    if (!this.selection) return this.say(t("Select a stretch first"));
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
    this.say(this.full ? t("Fills the window") : t("Back on the page"));
    timeline.focus({ preventScroll: true });
    this.view.layOut();
  }

  // --- time ---

  toggle() {
    if (this.sound.run) return this.sound.stop();
    const { selection } = this;
    const at = this.sound.position;
    const within = selection && at >= selection.start - 1e-3 && at <= selection.end + 1e-3;
    this.sound.play(within ? selection : null);
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

  step(way) {
    this.seek(clamp(this.sound.position + (way * this.axis.span) / 50, 0, this.axis.duration));
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
      this.chooseNone();
    }
    this.seek(time);
  }

  toggleLoop() {
    this.sound.setLoop(!this.sound.loop);
    this.find(".loop").setAttribute("aria-pressed", this.sound.loop);
    this.say(this.sound.loop ? t("Loop on") : t("Loop off"));
  }

  // --- the selection ---

  setSelection(selection, done = false) {
    this.selection = selection;
    this.view.placeSelection();
    this.bounds.show();
    this.menu.measure();
    if (this.data) this.f0.show();
    if (!done) return;
    if (!selection) return this.say(t("Selection cleared"));
    this.sound.prepare(selection);
    const { start, end } = selection;
    const { axis } = this;
    const [from, to, length] = [axis.origin + start, axis.origin + end, end - start].map((time) => decimal(time, 3));
    this.say(t("Selected {from} to {to} seconds, {length} seconds long", { from, to, length }));
    this.readSelection();
  }

  readSelection() {
    if (!this.selection) return this.read("");
    const { start, end } = this.selection;
    const [from, to] = [start, end].map((time) => this.axis.clock(time, 3));
    this.read(t("Selected {from} to {to}: {length} s", { from, to, length: decimal(end - start, 3) }));
  }

  // Select from one time to another, in either order; once `done`, playback moves there.
  select(from, to, done = false) {
    const selection = { start: Math.min(from, to), end: Math.max(from, to) };
    if (selection.end - selection.start < 1e-4) return this.setSelection(null, done);
    this.setSelection(selection, done);
    if (!done) return;
    this.chooseNone();
    const playing = this.sound.run;
    this.sound.stop(selection.start);
    if (playing) this.sound.play(selection);
    else this.sound.seek(selection.start);
  }

  // One end stays fixed: at first the playhead, later the end that was not moved last.
  extend(way) {
    const { selection, axis } = this;
    if (!selection) this.fixedEnd = this.sound.position;
    else if (this.fixedEnd !== selection.end) this.fixedEnd = selection.start;
    const other = !selection ? this.fixedEnd : this.fixedEnd === selection.start ? selection.end : selection.start;
    const to = clamp(other + (way * axis.span) / 50, 0, axis.duration);
    const [start, end] = [Math.min(this.fixedEnd, to), Math.max(this.fixedEnd, to)];
    this.setSelection(end > start ? { start, end } : null, true);
    this.chooseNone();
    if (axis.follow(to)) this.view.redraw();
  }

  escape() {
    if (!this.find(".help").hidden) return this.bar.help();
    if (!this.find(".menu").hidden) return this.menu.toggle();
    if (this.f0.on && !this.selection && !this.question) return this.f0.toggle();
    if (this.full && !this.selection && !this.question) return this.toggleFull();
    this.setSelection(null, true);
    this.chooseNone();
    this.question = null;
    this.read("");
  }

  // Keys now refer to the selected time range, no longer to a region.
  chooseNone() {
    if (this.keyed.chosen === null) return this.tiers.chooseNone();
    this.tiers.chooseNone();
    this.regions.chooseNone();
    this.showState();
    this.messages.tellChosen();
  }

  // One thing is selected at a time: if a region or a mark of a tier is, the selection is its stretch, however it changes.
  selectChosen() {
    const { keyed, selection } = this;
    if (keyed.chosen === null) return;
    const region = keyed.list[keyed.chosenIndex()];
    if (!region) {
      keyed.chooseNone();
      return this.setSelection(null);
    }
    const { start, end } = keyed.stretchOf(region);
    if (start !== selection?.start || end !== selection?.end) this.setSelection({ start, end });
  }

  playStretch({ start, end }) {
    this.chooseNone();
    this.setSelection({ start, end }, true);
    this.sound.stop();
    this.sound.seek(start);
    this.sound.play(this.selection);
  }

  // Play on from a time.
  playFrom(time) {
    this.setSelection(null);
    this.sound.stop();
    this.seek(time);
    this.sound.play();
  }

  // Play the region at a time, else from a little before it to a little after.
  playAround(time, before, after) {
    const region = this.regions.list.find(({ start, end }) => start <= time && time < end);
    const { start, end } = region ?? { start: Math.max(0, time - before), end: Math.min(this.axis.duration, time + after) };
    this.playStretch({ start, end });
  }

  // --- regions ---

  chooseRegion({ start, end }, name) {
    this.tiers.chooseNone();
    const stretch = { start, end };
    this.setSelection(stretch, true);
    this.say(t("Region {name}", { name }));
    if (this.axis.follow(start)) this.view.redraw();
    this.sound.stop();
    this.sound.seek(start);
    this.messages.tellChosen();
    if (!this.regions.editable) this.sound.play(stretch);
  }

  // Play a region from the table, once or in a loop.
  playRegion(index, loop) {
    const region = this.regions.list[index];
    if (!region) return;
    if (this.sound.loop !== loop) this.toggleLoop();
    this.chooseRegion(region, this.regions.name(index));
    if (this.regions.editable) this.sound.play(this.selection);
  }

  selectionToRegion() {
    if (this.selection) this.keyed.add(this.selection);
  }

  // What the keys for regions refer to: the tier whose mark is selected, else the regions.
  get keyed() {
    return this.tiers.chosen ?? this.regions;
  }

  // The region whose fields Python shows: words and other free text have none.
  get detailed() {
    return this.tiers.chosen?.labels.length === 0 ? null : this.keyed.chosen;
  }

  playTier(stretch) {
    this.showState();
    this.messages.tellChosen();
    this.setSelection(stretch, true);
    this.sound.stop();
    this.sound.seek(stretch.start);
    this.sound.play(stretch);
  }

  tierEdited(edit, words) {
    this.selectEdited();
    this.showState();
    this.say(words);
    this.view.layOut();
    this.messages.tellEdit(edit);
  }

  // Label the selected region, else turn the selection into a labelled region; with Shift label the whole recording.
  label(index, whole) {
    const label = ((!whole && this.tiers.chosen?.labels) || this.data.labels)[index]?.[0];
    if (!label) return;
    if (whole) this.command("label", label, t("Whole recording: {label}", { label: this.regions.shownLabel(label) }));
    else if (!this.keyed.label(label)) {
      if (this.selection) this.keyed.add({ ...this.selection, label });
      else this.say(t("Select or draw a region first"));
    }
  }

  split() {
    if (!this.keyed.split(this.sound.position)) this.say(t("The playhead is not inside a region"));
  }

  merge() {
    if (!this.keyed.merge()) this.say(t("Select a region that has another one after it"));
  }

  // Regions of time and frequency are drawn on the spectrograms.
  canBox({ y }) {
    return this.regions.editable && ["spectrogram", "spectrum"].includes(this.view.lanes.laneAt(y));
  }

  previewBox(before, from, to) {
    const name = this.view.lanes.laneAt(from.y);
    const { bottom, height } = this.view.lanes.lanes[name];
    const { spectrogram, spectrum } = this.view.picture;
    const share = (y) => clamp((bottom - y) / height, 0, 1);
    const hzOf = name === "spectrum" ? (y) => Math.round(spectrum.frequencies.hz(share(y))) : (y) => hzAt(spectrogram.rows * share(y), spectrogram.hz);
    const [start, end] = [from.x, to.x].sort((one, other) => one - other).map((x) => this.axis.time(x));
    const [low, high] = [from.y, to.y].sort((one, other) => other - one).map(hzOf);
    const box = { ...nothingYet(), start, end, low, high };
    this.regions.preview(before, box);
    return box;
  }

  endBox(before, box) {
    this.regions.list = before;
    if (box && box.end - box.start > 1e-3 && box.high > box.low) this.regions.add(box);
    else this.regions.layOut();
    this.view.redraw();
  }

  regionsEdited(edit, words) {
    this.selectEdited();
    this.showState();
    this.say(words);
    this.view.redraw(true);
    this.messages.tellEdit(edit);
  }

  selectEdited() {
    if (this.keyed.chosen === null) this.setSelection(null);
    this.selectChosen();
    const { selection, sound } = this;
    this.readSelection();
    if (selection && !sound.run && !(sound.at >= selection.start && sound.at <= selection.end)) sound.seek(selection.start);
  }

  // Python handles commands about the whole recording, the fields of a region, or the page.
  command(name, value, words, of = {}) {
    this.say(words);
    this.read(words);
    this.messages.tellEdit({ command: name, value, ...of });
  }

  turn(way) {
    this.command(way, null, t("Opening another recording"));
    this.turning = true;
    if (way === "next" && this.data.ahead) this.presentAhead();
  }

  // Keys that come before Python has opened the next recording are for that one, and wait for it; what only plays does
  // not wait if it is here already.
  holds(event, isEditing) {
    const waits = this.turning && (isEditing || !this.openedFrom);
    if (waits) this.held.push(event);
    return waits;
  }

  // Of a long recording, the model sees only a stretch, and only if somebody asks for it.
  analyse() {
    const { start, end, span } = this.axis;
    if (span > LONGEST_ANALYSED + 1e-6) {
      this.read(t("At most ten minutes are analysed at once: zoom in first"));
      return this.say(t("Zoom in to at most ten minutes first"));
    }
    this.say(t("Analysing what is in view"));
    this.read(t("Analysing what is in view …"));
    this.analysing = true;
    this.messages.tellEdit({ command: "analyse", changed: [{ ...nothingYet(), start, end }] });
  }

  setDone(done) {
    this.command("status", done ? "done" : "open", done ? t("This recording is done") : t("This recording is open again"));
  }

  doneAndNext() {
    if (!this.data.done) this.setDone(true);
    this.turn("next");
  }

  // Intensity, confidence and channel take two keys: which, and a digit; the first key twice removes the value.
  askFor(field) {
    this.question = field;
    this.say(VALUES[field].question);
    this.read(VALUES[field].question);
  }

  // Whether a key was the answer.
  answer(key) {
    const field = this.question;
    this.question = null;
    if (!field) return false;
    const { letter, of, words, none } = VALUES[field];
    const value = key.toLowerCase() === letter ? null : of(key, this.data);
    if (value === undefined) return false;
    const { keyed } = this;
    const region = keyed.list[keyed.chosenIndex()];
    const whose = region && { mark: region.id, tier: keyed.tier?.key };
    if (region?.suggested) this.say(t("Accept the suggestion first"));
    else this.command(field, value, value === null ? none : words(value), whose);
    return true;
  }

  // --- status texts ---

  // What is known of the selected region, else of the whole recording.
  showState() {
    const region = this.keyed.list[this.keyed.chosenIndex()];
    const shown = this.find(".state");
    const words = this.regions.editable ? (region?.state ?? this.data.state) : "";
    if (shown.textContent !== words) shown.textContent = words;
  }

  say(words) {
    this.find(".said").textContent = words;
  }

  read(words) {
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
    if (!this.gestures.drag?.moved) this.read(readoutAt(this.view.picture, this.view.lanes, this.axis, at));
    else if (this.selection) {
      const { start, end } = this.selection;
      const [from, to, length] = [this.axis.clock(start, 3), this.axis.clock(end, 3), decimal(end - start, 3)];
      this.read(t("{from} to {to}: {length} s", { from, to, length }));
    }
  }

  soundChanged(why) {
    const playing = Boolean(this.sound.run);
    this.find(".silent").hidden = why !== "silent";
    if (why === "play" || why === "pause") {
      this.bar.showPlaying(playing);
      const at = decimal(this.axis.origin + this.sound.position, 2);
      this.say(playing ? t("Playing") : t("Paused at {at} seconds", { at }));
    }
    this.view.wake();
  }
}
