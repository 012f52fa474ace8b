// What a person does with the player, by whatever means.

Object.assign(Player.prototype, {
  // --- the view ---

  show(start, end) {
    this.axis.show(start, end);
    this.redraw();
  },

  pan(seconds) {
    this.axis.pan(seconds);
    this.redraw();
  },

  // About the playhead where it is seen, else about the middle.
  zoom(factor, about = null) {
    const { axis } = this;
    const { position } = this.sound;
    const seen = position >= axis.start && position <= axis.end;
    axis.zoom(factor, about ?? (seen ? position : (axis.start + axis.end) / 2));
    this.redraw();
  },

  showAll() {
    this.axis.showAll();
    this.redraw();
  },

  // --- time ---

  toggle() {
    if (this.sound.run) return this.sound.stop();
    const { selection } = this;
    const at = this.sound.position;
    const within = selection && at >= selection.start - 1e-3 && at <= selection.end + 1e-3;
    this.sound.play(within ? selection : null);
  },

  seek(time) {
    this.sound.seek(time);
    if (this.axis.follow(time)) this.redraw();
    this.tell("seek", time);
  },

  step(way) {
    this.seek(clamp(this.sound.position + (way * this.axis.span) / 50, 0, this.axis.duration));
  },

  scrub(time) {
    this.scrubbed = time;
    this.wake();
  },

  endScrub(time) {
    this.scrubbed = null;
    this.seek(time);
  },

  // Where a word stands, or what somebody else marked, it is selected and heard.
  click({ x, y }) {
    const time = this.axis.time(x);
    const stretch = this.lanes.stretchAt(time, y);
    if (stretch) return this.hearStretch(stretch);
    const { selection } = this;
    if (selection && (time < selection.start || time > selection.end)) {
      this.setSelection(null, true);
      this.regions.chooseNone();
    }
    this.seek(time);
  },

  toggleLoop() {
    this.sound.setLoop(!this.sound.loop);
    this.find(".loop").setAttribute("aria-pressed", this.sound.loop);
    this.say(this.sound.loop ? "Loop on" : "Loop off");
  },

  // --- the selection ---

  setSelection(selection, done = false) {
    this.selection = selection;
    this.placeSelection();
    if (!done) return;
    this.tell("selection", selection);
    if (!selection) return this.say("Selection cleared");
    this.sound.prepare(selection);
    const { start, end } = selection;
    this.say(`Selected ${start.toFixed(3)} to ${end.toFixed(3)} seconds, ${(end - start).toFixed(3)} seconds long`);
    this.read(`Selected ${clock(start, 3)} to ${clock(end, 3)}: ${(end - start).toFixed(3)} s`);
  },

  // From one time to another, in either order; once `done`, what plays turns to it.
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
  },

  // One end is held: the playhead where nothing is selected, and then the end that was not moved last.
  extend(way) {
    const { selection, axis } = this;
    if (!selection) this.held = this.sound.position;
    else if (this.held !== selection.end) this.held = selection.start;
    const other = !selection ? this.held : this.held === selection.start ? selection.end : selection.start;
    const to = clamp(other + (way * axis.span) / 50, 0, axis.duration);
    const [start, end] = [Math.min(this.held, to), Math.max(this.held, to)];
    this.setSelection(end > start ? { start, end } : null, true);
    this.chooseNone();
    if (axis.follow(to)) this.redraw();
  },

  escape() {
    if (!this.find(".help").hidden) return this.help();
    this.setSelection(null, true);
    this.regions.chooseNone();
    this.read("");
  },

  // What is selected is now meant by keys, not what was chosen before.
  chooseNone() {
    if (this.regions.chosen === null) return;
    this.regions.chooseNone();
    this.tellChosen();
  },

  hearStretch({ start, end }) {
    this.chooseNone();
    this.setSelection({ start, end }, true);
    this.sound.stop();
    this.sound.seek(start);
    this.sound.play(this.selection);
  },

  // --- regions ---

  chooseRegion({ start, end }, name) {
    const stretch = { start, end };
    this.setSelection(stretch, true);
    this.say(`Region ${name}`);
    if (this.axis.follow(start)) this.redraw();
    this.sound.stop();
    this.sound.seek(start);
    this.tellChosen();
    if (!this.regions.editable) this.sound.play(stretch);
  },

  // From the table: once, or over and over.
  hearRegion(place, loop) {
    const region = this.regions.list[place];
    if (!region) return;
    if (this.sound.loop !== loop) this.toggleLoop();
    this.chooseRegion(region, this.regions.name(place));
    if (this.regions.editable) this.sound.play(this.selection);
  },

  selectionToRegion() {
    if (this.selection) this.regions.add(this.selection);
  },

  // The chosen region, else the selection, which becomes one; with Shift the whole recording.
  label(place, whole) {
    const label = this.data.labels[place]?.[0];
    if (!label) return;
    if (whole) this.tellCommand("label", label, `Whole recording: ${label}`);
    else if (!this.regions.label(label)) {
      if (this.selection) this.regions.add({ ...this.selection, label });
      else this.say("Choose or draw a region first");
    }
  },

  split() {
    if (!this.regions.split(this.sound.position)) this.say("The playhead is in no region that could be split");
  },

  merge() {
    if (!this.regions.merge()) this.say("No region is chosen that has one after it");
  },

  // A region of time and frequency, drawn on the spectrogram.
  canBox({ y }) {
    return this.regions.editable && this.lanes.laneAt(y) === "spectrogram";
  },

  previewBox(before, from, to) {
    const { bottom, height } = this.lanes.lanes.spectrogram;
    const { hz, rows } = this.picture.spectrogram;
    const [start, end] = [from.x, to.x].sort((one, other) => one - other).map((x) => this.axis.time(x));
    const [low, high] = [from.y, to.y].sort((one, other) => other - one).map((y) => hzAt((rows * (bottom - y)) / height, hz));
    const box = { ...nothingYet(), start, end, low, high };
    this.regions.preview(before, box);
    return box;
  },

  endBox(before, box) {
    this.regions.list = before;
    if (box && box.end - box.start > 1e-3 && box.high > box.low) this.regions.add(box);
    else this.regions.place();
    this.redraw();
  },

  regionsEdited(edit, words) {
    this.say(words);
    this.redraw(true);
    this.tellEdit(edit);
  },

  // --- what is said ---

  // Python runs its page again for each word, so that it hears only what it asked for, and only what stands.
  tell(name, value) {
    if (!this.data.tells.includes(name)) return;
    this.told ??= {};
    clearTimeout(this.told[name]);
    this.told[name] = setTimeout(() => this.root.isConnected && this.tellPython(name, value), TELL_AFTER_MS);
  },

  // All that was not answered goes along: only the last word reaches Python where it is busy.
  tellEdit(edit) {
    const { recording, whose, answered } = this.data;
    const number = Math.max(Date.now(), answered + 1, (this.lastEdit ?? 0) + 1);
    this.lastEdit = number;
    this.pending = [...this.pending, { number, recording: recording.id, whose, changed: [], deleted: [], ...edit }];
    this.tellEditing();
    this.showSaved();
  },

  tellCommand(command, value, words) {
    this.say(words);
    this.tellEdit({ command, value });
  },

  tellChosen() {
    clearTimeout(this.choosing);
    this.choosing = setTimeout(() => this.root.isConnected && this.tellEditing(), TELL_AFTER_MS);
  },

  tellEditing() {
    if (!this.data.editable) return;
    clearTimeout(this.choosing);
    this.tellPython("editing", { edits: this.pending, chosen: this.regions.chosen });
  },

  showSaved() {
    if (this.data.editable) unanswered.set(this.data.whose, this.pending);
    const shown = this.find(".saved");
    shown.hidden = !this.data.editable;
    const words = this.pending.length ? "Saving …" : "All saved";
    if (shown.textContent !== words) shown.textContent = words;
  },

  say(words) {
    this.find(".said").textContent = words;
  },

  read(words) {
    this.find(".readout").textContent = words;
  },

  point(at) {
    const pointer = this.find(".pointer");
    const inside = at && at.x >= 0 && at.x <= this.axis.width && this.picture;
    pointer.hidden = !inside;
    if (!inside) return;
    pointer.style.transform = `translateX(${at.x}px)`;
    if (!this.gestures.drag?.moved) this.read(readoutAt(this.picture, this.lanes, this.axis, at));
    else if (this.selection) {
      const { start, end } = this.selection;
      this.read(`${clock(start, 3)} to ${clock(end, 3)}: ${(end - start).toFixed(3)} s`);
    }
  },

  soundChanged(why) {
    const playing = Boolean(this.sound.run);
    const button = this.find(".play");
    if (why !== "seek") {
      button.innerHTML = icon(playing ? "pause" : "play");
      button.setAttribute("aria-label", playing ? "Pause (Space)" : "Play (Space)");
      this.say(playing ? "Playing" : `Paused at ${this.sound.position.toFixed(2)} seconds`);
    }
    this.wake();
  },
});
