// The player: what stands, what is wished of it, and what Python hears of it.

const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2];
const TELL_AFTER_MS = 250;
const TIME_FOR_READERS_MS = 250;
const ICONS = {
  play: '<path d="M4 2.5v11l9-5.5z"/>',
  pause: '<path d="M4 3v10M12 3v10" stroke-width="3"/>',
  loop: '<path d="M3 7.5a4 4 0 0 1 4-4h6M11 1.5l2 2-2 2M13 8.5a4 4 0 0 1-4 4H3M5 14.5l-2-2 2-2"/>',
  out: '<path d="M3 8h10"/>',
  in: '<path d="M3 8h10M8 3v10"/>',
  all: '<path d="M1.5 3v10M14.5 3v10M4 8h8M6 6L4 8l2 2M10 6l2 2-2 2"/>',
  file: '<path d="M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10"/>',
  ask: '<path d="M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.7 8 9.1 8 10M8 12.7v.1"/>',
};
// Edits that Python has not answered to, by whose marks they are: a page that is turned takes the player along, and where
// Python was busy it may never hear of them. They are told again when the player comes back.
const unanswered = (globalThis.hearWhyUnanswered ??= new Map());
const staysWished = ({ command }) => !command || command === "label";
const icon = (name) => `<svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[name]}</svg>`;

class Player {
  constructor(root) {
    this.root = root;
    this.find = (selector) => root.querySelector(selector);
    this.axis = new TimeAxis(1);
    this.lanes = new Lanes(this.find("canvas.lanes"), this.axis);
    this.selection = null;
    this.scrubbed = null; // where the playhead is held while it is dragged
    this.kept = new Map(); // Values by what they show
    this.scores = { segments: [] };
    this.pending = []; // edits that Python has not answered to
    this.sound = new Sound(this.find("audio"), (why) => this.soundChanged(why));
    this.regions = new Regions(this.find(".regions"), this.axis, {
      choose: (region, name) => this.chooseRegion(region, name),
      edited: (edit, words) => this.regionsEdited(edit, words),
      preview: () => this.redraw(),
    });
    this.timeline = this.find(".timeline");
    this.gestures = new TimelineGestures(this, this.timeline);
    new MinimapGestures(this, this.find(".minimap"));
    root.addEventListener("keydown", (event) => pressKey(this, event));
    this.table = new RegionTable(this.find(".table"), (place, loop) => this.hearRegion(place, loop));
    this.buildBar();
    this.observer = new ResizeObserver(() => this.layOut());
    this.observer.observe(this.find(".stage"));
  }

  // --- what Python gives ---

  update({ data, setStateValue }) {
    this.tellPython = setStateValue;
    const turned = data.whose !== this.data?.whose;
    const another = data.recording.url !== this.data?.recording.url;
    if (another) this.open(data);
    this.data = data;
    if (turned) this.pending = (unanswered.get(data.whose) ?? []).filter(staysWished);
    // Its answer to an older edit than the last one is not what stands.
    this.pending = this.pending.filter(({ number }) => number > data.answered);
    if (another || turned || !this.pending.length) this.regions.set(data.regions, data);
    this.showSaved();
    if (turned && this.pending.length) this.tellEditing();
    this.loadScores(data.scores);
    this.offerOverlays();
    this.offerSounds();
    this.table.set(data.regionTable);
    this.find(".player").setAttribute("aria-label", `Player of ${data.recording.name}`);
    this.timeline.setAttribute("aria-label", `Position in ${data.recording.name}`);
    this.timeline.setAttribute("aria-valuemax", data.recording.duration.toFixed(2));
    this.find(".player").style.setProperty("--accent", data.accent ?? WAVE);
    this.layOut();
  }

  open({ recording }) {
    Object.assign(this.axis, { duration: recording.duration });
    this.axis.showAll();
    this.setSelection(null);
    this.regions.chosen = null;
    this.sound.load(recording.url, recording.duration);
    this.find(".clock .whole").textContent = ` / ${clock(recording.duration, 2)}${recording.duration < 60 ? " s" : ""}`;
  }

  async loadScores(scores) {
    if (scores?.url === this.scores?.url) return;
    const mine = (this.scores = { url: scores?.url, segments: [] });
    if (!scores) return;
    try {
      mine.segments = await fetchScores(scores);
      if (mine === this.scores) this.refresh();
    } catch (error) {
      setTimeout(() => mine === this.scores && ((this.scores = null), this.loadScores(this.data.scores)), TRY_AGAIN_MS);
    }
  }

  valuesOf({ start, column, levels }) {
    const key = JSON.stringify(levels.map(({ url }) => url));
    if (!this.kept.has(key)) {
      // The samples are the WAV file itself, after its header.
      const placed = levels.map((level) => ({
        ...level,
        offset: level.url === this.data.recording.url ? async () => (await this.sound.header).offset : () => 0,
      }));
      this.kept.set(key, new Values({ start, column, levels: placed }, () => this.redraw(true)));
    }
    this.used.add(key);
    return this.kept.get(key);
  }

  // Make the picture anew, and forget tiles of what is shown no more.
  refresh() {
    const { data } = this;
    const theme = themeOf(this.find(".player"));
    this.find(".player").style.colorScheme = theme.dark ? "dark" : "light";
    const magma = this.find(".colours select").value === "magma";
    const wish = magma ? "magma" : `grey ${theme.dark}`;
    if (this.coloured !== wish) {
      this.coloured = wish;
      this.colours = magma ? colourTable(data.magma) : greyTable(theme.dark);
    }
    this.used = new Set();
    this.picture = pictureOf(data, {
      valuesOf: (spec) => this.valuesOf(spec),
      colours: this.colours,
      overlay: this.find(".overlay select").value,
      opacity: this.find(".opacity input").value / 100,
      theme,
      scores: this.scores.segments,
      regions: this.regions.list,
      colourOf: (region) => this.regions.colourOf(region),
    });
    for (const { levels } of data.overlays) this.used.add(JSON.stringify(levels.map(({ url }) => url)));
    for (const key of this.kept.keys()) if (!this.used.has(key)) this.kept.delete(key);
    this.redraw(true);
  }

  layOut() {
    const { data } = this;
    if (!data || !this.root.isConnected) return;
    const stage = this.find(".stage");
    const gutter = stage.clientWidth < 480 ? 46 : 58;
    const regions = data.editable || this.regions.list.length ? this.regions.countRows() : 0;
    const shown = { ...data, waveform: true, ruler: true, words: data.words.length, regions, others: data.others.length };
    stage.style.height = `${this.lanes.layOut(shown, gutter)}px`;
    this.timeline.style.left = `${gutter}px`;
    this.axis.width = Math.max(1, stage.clientWidth - gutter);
    const lane = this.lanes.lanes.regions;
    const { style } = this.regions.element;
    this.regions.element.hidden = !lane;
    if (lane) Object.assign(style, { left: `${gutter}px`, top: `${lane.top}px`, height: `${lane.height}px` });
    this.refresh();
  }

  // --- drawing: at most once a frame, and lanes only when something has changed ---

  redraw(all = false) {
    this.stale = true;
    this.staleMap ||= all;
    this.wake();
  }

  wake() {
    this.waiting ??= requestAnimationFrame(() => this.frame());
  }

  frame() {
    this.waiting = null;
    if (!this.data || !this.root.isConnected) return;
    const position = this.scrubbed ?? this.sound.position;
    if (this.sound.run && !this.gestures.drag && this.axis.follow(position)) this.stale = true;
    if (this.stale) this.drawView();
    if (this.staleMap) this.drawMinimap();
    this.stale = this.staleMap = false;
    this.placePlayhead(position);
    if (this.sound.run) this.wake();
  }

  drawView() {
    const { axis } = this;
    this.picture.regions = this.regions.list;
    this.lanes.draw(this.picture);
    this.regions.place();
    this.placeSelection();
    const { clientWidth } = this.find(".minimap");
    const { style } = this.find(".minimap .seen");
    style.left = `${(axis.start / axis.duration) * clientWidth}px`;
    style.width = `${(axis.span / axis.duration) * clientWidth}px`;
  }

  drawMinimap() {
    const canvas = this.find(".minimap canvas");
    const ratio = window.devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = canvas;
    Object.assign(canvas, { width: Math.round(width * ratio), height: Math.round(height * ratio) });
    const pen = canvas.getContext("2d");
    pen.scale(ratio, ratio);
    const whole = Object.assign(new TimeAxis(this.axis.duration), { width });
    const { values, peak } = this.picture.waveform;
    drawSamples(pen, values.outline(whole), (value) => (height / 2) * (1 - value / (1.1 * peak * FULL_SCALE)));
    for (const region of this.regions.list.filter(({ suggested }) => !suggested)) {
      pen.fillStyle = this.regions.colourOf(region) ?? this.picture.accent;
      pen.fillRect(whole.x(region.start), height - 3, Math.max(1, whole.x(region.end) - whole.x(region.start) - 1), 3);
    }
  }

  placePlayhead(position) {
    const x = this.axis.x(position);
    this.find(".playhead").style.transform = `translateX(${clamp(x, -10, this.axis.width + 10)}px)`;
    const { clientWidth } = this.find(".minimap");
    this.find(".minimap .mark").style.transform = `translateX(${(position / this.axis.duration) * clientWidth}px)`;
    this.find(".clock .now").textContent = clock(position, 3);
    const now = performance.now();
    if (this.sound.run && now - (this.readAt ?? 0) < TIME_FOR_READERS_MS) return;
    this.readAt = now;
    this.table.markAt(this.regions.list, this.sound.run ? position : null);
    this.timeline.setAttribute("aria-valuenow", position.toFixed(2));
    this.timeline.setAttribute("aria-valuetext", `${position.toFixed(2)} of ${this.axis.duration.toFixed(2)} seconds`);
  }

  placeSelection() {
    const shown = this.find(".selection");
    shown.hidden = !this.selection;
    if (!this.selection) return;
    const [left, right] = [this.axis.x(this.selection.start), this.axis.x(this.selection.end)];
    shown.style.transform = `translateX(${Math.max(-2, left)}px)`;
    shown.style.width = `${Math.max(1, Math.min(this.axis.width + 2, right) - Math.max(-2, left))}px`;
  }

  destroy() {
    this.observer.disconnect();
    if (this.waiting) cancelAnimationFrame(this.waiting);
    for (const timer of Object.values(this.told ?? {})) clearTimeout(timer);
    this.sound.destroy();
  }
}
