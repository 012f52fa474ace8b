// The view: the picture for the lanes, their layout, and drawing at most once per frame.

import { TimeAxis, clamp } from "./axes.js";
import { drawSamples } from "./lanes/lane_canvas.js";
import { Lanes } from "./lanes/lanes.js";
import { Spectrogram } from "./lanes/spectrogram.js";
import { colourTable, fetchScores, greyTable, pictureOf, themeOf } from "./pictures.js";
import { Values } from "./tiles.js";
import { FULL_SCALE, RETRY_MS } from "./wav.js";
import { decimal, t } from "../../language/language.js";

// Pixels left of all lanes; charts over time leave the same (PLAYER_GUTTER in charts/axes.py).
const GUTTER = 58;
const SCREEN_READER_MS = 250;
// In a window below this height, lanes with marks are lower, so that the fields of the marks are in view too.
const DENSE_BELOW = 1000;

const keyOf = (levels) => JSON.stringify(levels.map(({ url }) => url));

export class View {
  constructor(player) {
    this.player = player;
    this.find = player.find;
    this.axis = player.axis;
    this.lanes = new Lanes(this.find("canvas.lanes"), this.axis);
    this.values = new Map(); // by their addresses
    this.scores = { segments: [] };
    this.observer = new ResizeObserver(() => this.layOut());
    this.observer.observe(this.find(".stage"));
    // This element of Streamlit fills the window, whose height matters too.
    this.observer.observe(document.querySelector("[data-testid=stApp]") ?? document.documentElement);
  }

  // --- the picture ---

  async loadScores(scores) {
    if (scores?.url === this.scores?.url) return;
    const mine = (this.scores = { url: scores?.url, segments: [] });
    if (!scores) return;
    try {
      mine.segments = await fetchScores(scores);
      if (mine === this.scores) this.refresh();
    } catch {
      setTimeout(() => mine === this.scores && ((this.scores = null), this.loadScores(this.player.data.scores)), RETRY_MS);
    }
  }

  valuesOf({ start, column, levels }) {
    const key = keyOf(levels);
    if (!this.values.has(key)) {
      const { data, sound } = this.player;
      // The samples come from the WAV file itself, after its header.
      const placed = levels.map((level) => ({
        ...level,
        offset: level.url === data.recording.url ? async () => (await sound.header).offset : () => 0,
      }));
      this.values.set(key, new Values({ start, column, levels: placed }, () => this.redraw(true)));
    }
    this.used.add(key);
    return this.values.get(key);
  }

  // Rebuild the picture, and drop the tiles of data that is no longer shown.
  refresh() {
    const { data, regions } = this.player;
    const theme = themeOf(this.find(".player"));
    this.find(".player").style.colorScheme = theme.dark ? "dark" : "light";
    const magma = this.find(".colours select").value === "magma";
    const colours = magma ? "magma" : `grey ${theme.dark}`;
    if (this.shownColours !== colours) {
      this.shownColours = colours;
      this.colours = magma ? colourTable(data.magma) : greyTable(theme.dark);
    }
    this.used = new Set();
    const { f0, menu } = this.player;
    this.picture = pictureOf(data, {
      valuesOf: (spec) => this.valuesOf(spec),
      colours: this.colours,
      overlay: this.find(".overlay select").value,
      opacity: this.find(".opacity input").value / 100,
      theme,
      scores: this.scores.segments,
      regions: regions.list,
      colourOf: (region) => regions.colourOf(region),
      labelOf: (region) => regions.shownLabel(region.label),
      spectrogram: this.spectrogramOf(data),
      menu,
      f0,
    });
    for (const { levels } of data.overlays) this.used.add(keyOf(levels));
    for (const key of this.values.keys()) if (!this.used.has(key)) this.values.delete(key);
    this.redraw(true);
  }

  // The spectrogram of the recording that is shown.
  spectrogramOf({ waveform, recording }) {
    const values = this.valuesOf(waveform);
    if (this.spectrogram?.values !== values) this.spectrogram = new Spectrogram(values, recording.rate, () => this.redraw());
    return this.spectrogram;
  }

  layOut() {
    const { data, root, regions, tiers, menu } = this.player;
    if (!data || !root.isConnected) return;
    const stage = this.find(".stage");
    const rows = data.editable || regions.list.length ? regions.countRows() : 0;
    // `data.f0` contains corrections; whether F0 has a lane is chosen in the menu.
    const shown = { ...data, f0: false, waveform: true, ruler: true, words: data.words.length, regions: rows, tiers: tiers.countRows(), others: data.others.length };
    for (const name of data.awaited) shown[name] ||= true;
    for (const name of menu.hiddenLanes()) shown[name] = false;
    for (const name of menu.addedLanes()) shown[name] = true;
    this.player.f0.show();
    if (this.player.f0.on && shown.f0) shown.f0 = "tall";
    const dense = data.editable && window.innerHeight < DENSE_BELOW;
    stage.style.height = `${this.lanes.layOut(shown, GUTTER, { dense, fill: this.player.full ? this.freeHeight(stage) : null })}px`;
    this.find(".timeline").style.left = `${GUTTER}px`;
    this.axis.width = Math.max(1, stage.clientWidth - GUTTER);
    const lane = this.lanes.lanes.regions;
    const { style } = regions.element;
    regions.element.hidden = !lane;
    if (lane) Object.assign(style, { left: `${GUTTER}px`, top: `${lane.top}px`, height: `${lane.height}px` });
    tiers.place(this.lanes.lanes.tiers, GUTTER);
    this.refresh();
  }

  // The height that the rest of the player leaves to the lanes when it fills the window.
  freeHeight(stage) {
    const bottoms = [...this.find(".player").children].map(({ offsetTop, offsetHeight }) => offsetTop + offsetHeight);
    return window.innerHeight - (Math.max(...bottoms) - stage.offsetHeight) - 12;
  }

  // --- drawing: at most once per frame, and lanes only after a change ---

  redraw(minimap = false) {
    this.stale = true;
    this.staleMinimap ||= minimap;
    this.wake();
  }

  wake() {
    this.waiting ??= requestAnimationFrame(() => this.frame());
  }

  frame() {
    const { data, root, sound, scrubbed, gestures } = this.player;
    this.waiting = null;
    if (!data || !root.isConnected) return;
    const position = scrubbed ?? sound.position;
    if (sound.run && !gestures.drag && this.axis.follow(position)) this.stale = true;
    const { stale, staleMinimap } = this;
    this.stale = this.staleMinimap = false; // before drawing, which may request another frame
    if (stale) this.drawView();
    if (staleMinimap) {
      this.drawMinimap();
      this.player.menu.measure(); // its frames may have arrived
    }
    this.placePlayhead(position);
    if (sound.run) this.wake();
  }

  drawView() {
    const { axis } = this;
    const { regions, tiers } = this.player;
    this.picture.regions = regions.list;
    this.picture.tiers = tiers.rows;
    this.lanes.draw(this.picture);
    regions.layOut();
    tiers.layOut();
    this.placeSelection();
    const { clientWidth } = this.find(".minimap");
    const { style } = this.find(".minimap .seen");
    style.left = `${(axis.start / axis.duration) * clientWidth}px`;
    style.width = `${(axis.span / axis.duration) * clientWidth}px`;
  }

  drawMinimap() {
    const { regions } = this.player;
    const canvas = this.find(".minimap canvas");
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const whole = Object.assign(new TimeAxis(this.axis.duration), { width });
    const { values, peak } = this.picture.waveform;
    drawSamples(pen, values.outline(whole), (value) => (height / 2) * (1 - value / (1.1 * peak * FULL_SCALE)));
    for (const region of regions.list.filter(({ suggested }) => !suggested)) {
      pen.fillStyle = regions.colourOf(region) ?? this.picture.accent;
      pen.fillRect(whole.x(region.start), height - 3, Math.max(1, whole.x(region.end) - whole.x(region.start) - 1), 3);
    }
  }

  placePlayhead(position) {
    const { sound, table, transcript, regions, charts } = this.player;
    charts.place(position);
    const timeline = this.find(".timeline");
    const x = this.axis.x(position);
    this.find(".playhead").style.transform = `translateX(${clamp(x, -10, this.axis.width + 10)}px)`;
    const { clientWidth } = this.find(".minimap");
    this.find(".minimap .mark").style.transform = `translateX(${(position / this.axis.duration) * clientWidth}px)`;
    this.find(".clock .now").textContent = this.axis.clock(position, 3);
    const now = performance.now();
    if (sound.run && now - (this.readAt ?? 0) < SCREEN_READER_MS) return;
    this.readAt = now;
    transcript.markAt(sound.run ? position : null);
    table.markAt(regions.list, sound.run ? position : null);
    const { origin, duration } = this.axis;
    timeline.setAttribute("aria-valuenow", (origin + position).toFixed(2));
    const [at, end] = [origin + position, origin + duration].map((time) => decimal(time, 2));
    timeline.setAttribute("aria-valuetext", t("{at} of {end} seconds", { at, end }));
  }

  placeSelection() {
    const { selection } = this.player;
    const shown = this.find(".selection");
    shown.hidden = !selection;
    if (!selection) return;
    const [left, right] = [this.axis.x(selection.start), this.axis.x(selection.end)];
    shown.style.transform = `translateX(${Math.max(-2, left)}px)`;
    shown.style.width = `${Math.max(1, Math.min(this.axis.width + 2, right) - Math.max(-2, left))}px`;
  }

  destroy() {
    this.observer.disconnect();
    if (this.waiting) cancelAnimationFrame(this.waiting);
  }
}
