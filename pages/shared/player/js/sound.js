// What is heard. A media element plays on and at any speed; a short stretch at normal speed plays from its own samples,
// which begin and end exactly. Of all sounds of the page one plays at a time.

import { clamp } from "./axes.js";
import { LONGEST_RETRY_MS, RETRY_MS, fadeOut, fetchStretch, playSamples, readHeader, withFades } from "./wav.js";

const LONGEST_STRETCH = 60;
const MOST_CUTS = 8;
const sounds = new Set();
let context = null;

function pauseOtherSounds(mine) {
  for (const sound of sounds) if (sound !== mine) sound.pause();
  if (mine) for (const other of document.querySelectorAll("audio, video")) other.pause();
}

// Media elements of others: their events do not bubble, but pass through the document on the way down.
document.addEventListener("play", () => pauseOtherSounds(null), true);

// At the recording's own rate nothing is resampled before the sound leaves the page.
function contextAt(rate) {
  if (context?.sampleRate === rate) return context;
  context?.close();
  context = new AudioContext({ sampleRate: rate });
  return context;
}

export class Sound {
  // `changed(why)` is called when it begins, stops, ends or is moved.
  constructor(element, changed) {
    this.element = element;
    this.changed = changed;
    this.rate = 1;
    this.loop = false;
    this.run = null; // what is playing: { stretch or null, voice or null while the element plays }
    this.others = [];
    this.cuts = new Map();
    this.ticket = 0; // of the newest wish; an older one that was waiting for bytes gives up
    element.addEventListener("ended", () => this.run && !this.run.voice && this.ended());
    element.addEventListener("pause", () => this.pausedByOthers());
    element.addEventListener("error", () => this.loadAgain());
    element.addEventListener("loadedmetadata", () => (this.patience = RETRY_MS));
    sounds.add(this);
  }

  load(url, duration) {
    this.stop();
    Object.assign(this, { duration, at: 0, others: [] });
    this.open(url);
    this.askForHeader(url);
  }

  // Whoever needs it meanwhile hears that it did not come.
  askForHeader(url, pause = RETRY_MS) {
    const asked = (this.header = readHeader(url));
    asked.catch(() => {
      setTimeout(() => {
        if (this.header === asked && sounds.has(this)) this.askForHeader(url, Math.min(2 * pause, LONGEST_RETRY_MS));
      }, pause);
    });
  }

  open(url) {
    Object.assign(this, { url, patience: RETRY_MS });
    this.element.src = url;
  }

  // Other files of the same length that may be turned to: fetched now, so that turning makes no pause.
  offer(urls) {
    if (urls.join() === this.others.join()) return;
    this.others = urls;
    if (this.duration <= LONGEST_STRETCH) this.header.then((header) => urls.forEach((url) => this.samplesOf({ start: 0, end: this.duration }, header, url))).catch(() => {});
  }

  // Hear another file, with the same header, from where this one stands: without a word and without a pause.
  turnTo(url) {
    if (url === this.url) return;
    const { run } = this;
    const stretch = run?.stretch ?? null;
    const at = this.positionAt(0); // both are heard equally late: nothing is heard twice
    this.silence();
    this.at = at;
    this.open(url);
    this.element.currentTime = this.at;
    if (run) this.play(stretch);
  }

  // What reaches the ear now.
  get position() {
    return this.positionAt(context?.outputLatency || 0);
  }

  // Where it is for a listener whom sound reaches so many seconds late; for 0 what leaves the page now.
  positionAt(late) {
    if (!this.run) return this.at;
    const { stretch, voice } = this.run;
    if (!voice) return this.run.begun ? this.element.currentTime : this.at;
    const passed = Math.max(0, context.currentTime - late - voice.startedAt) + voice.offset;
    const length = stretch.end - stretch.start;
    return stretch.start + (voice.cyclic ? passed % length : Math.min(passed, length));
  }

  // Play on from where it stands; with a stretch from its start, or from within it, to its end.
  async play(stretch = null) {
    this.silence();
    const ticket = ++this.ticket;
    pauseOtherSounds(this);
    // Of several files the whole plays from samples too, where it is short: so they take turns without a gap.
    if (!stretch && this.others.length && this.duration <= LONGEST_STRETCH) stretch = { start: 0, end: this.duration };
    const [start, end] = stretch ? [stretch.start, stretch.end] : [0, this.duration];
    if (this.at < start || this.at >= end - 0.001) this.at = start;
    this.run = { stretch, voice: null, begun: false };
    this.changed("play");
    const fromSamples = stretch && this.rate === 1 && end - start <= LONGEST_STRETCH;
    try {
      if (!(fromSamples && (await this.playFromSamples(stretch, ticket)))) await this.playElement(stretch, ticket);
    } catch {
      // Refused, as browsers do without a gesture, or not to be had.
      if (ticket === this.ticket) this.stop();
    }
  }

  async playFromSamples(stretch, ticket) {
    const header = await this.header;
    const samples = await this.samplesOf(stretch, header);
    if (ticket !== this.ticket) return true;
    let voice;
    try {
      await contextAt(header.rate).resume();
      if (ticket !== this.ticket) return true;
      voice = playSamples(context, samples, header.rate, this.at - stretch.start, this.loop);
    } catch {
      return false; // a rate that this browser has no clock for
    }
    voice.source.onended = () => this.run?.voice === voice && this.ended();
    this.run.voice = voice;
    return true;
  }

  // The newest stretches are kept: they are fetched when they are selected and played when that is wished.
  samplesOf({ start, end }, header, url = this.url) {
    const key = `${url} ${start} ${end}`;
    const samples = this.cuts.get(key) ?? fetchStretch(url, header, { start, end }).then((all) => withFades(all, header.rate));
    this.cuts.delete(key);
    this.cuts.set(key, samples);
    while (this.cuts.size > MOST_CUTS) this.cuts.delete(this.cuts.keys().next().value);
    samples.catch(() => this.cuts.delete(key));
    return samples;
  }

  prepare(stretch) {
    if (stretch.end - stretch.start > LONGEST_STRETCH) return;
    this.header.then((header) => this.samplesOf(stretch, header)).catch(() => {});
  }

  async playElement(stretch, ticket) {
    if (ticket !== this.ticket) return;
    this.element.playbackRate = this.rate;
    this.element.preservesPitch = true;
    if (Math.abs(this.element.currentTime - this.at) > 1e-4) this.element.currentTime = this.at;
    this.run.begun = true;
    await this.element.play();
    if (stretch) this.watchEnd(ticket);
  }

  // Timers, not frames: they go on where nothing is drawn.
  watchEnd(ticket) {
    if (ticket !== this.ticket || !this.run?.stretch) return;
    const { start, end } = this.run.stretch;
    const left = (end - this.element.currentTime) / this.rate;
    if (left <= 0.002 && !this.loop) return this.ended();
    if (left <= 0.002) this.element.currentTime = start;
    setTimeout(() => this.watchEnd(ticket), clamp(1000 * left, 1, 100));
  }

  ended() {
    const { stretch } = this.run;
    if (this.loop && !this.run.voice) {
      this.at = stretch ? stretch.start : 0;
      return void this.play(stretch);
    }
    this.stop(stretch ? stretch.end : this.duration);
  }

  // End all sound of this player, without a word.
  silence() {
    this.at = this.position;
    const voice = this.run?.voice;
    this.run = null;
    this.ticket++;
    if (voice) fadeOut(context, voice);
    this.element.pause();
  }

  stop(at = null) {
    if (!this.run) return;
    this.silence();
    if (at !== null) this.element.currentTime = this.at = at;
    this.changed("pause");
  }

  pause() {
    this.stop();
  }

  pausedByOthers() {
    if (this.run?.begun && !this.run.voice && !this.element.ended && this.element.paused) this.stop();
  }

  // The server forgets files for a moment when a rerun is overtaken by another.
  loadAgain() {
    const { url, run, position } = this;
    setTimeout(() => {
      if (!url || this.url !== url) return;
      this.element.load();
      this.element.currentTime = position;
      if (run && this.run === run && !run.voice) this.element.play().catch(() => this.stop());
    }, this.patience);
    this.patience = Math.min(2 * this.patience, LONGEST_RETRY_MS);
  }

  seek(time) {
    const run = this.run;
    if (!run) this.element.currentTime = this.at = time;
    else if (run.begun && !run.stretch) this.element.currentTime = time;
    else {
      const { stretch } = run;
      this.silence();
      this.at = time;
      this.play(stretch && time >= stretch.start && time < stretch.end ? stretch : null);
    }
    this.changed("seek");
  }

  setRate(rate) {
    this.rate = rate;
    this.element.playbackRate = rate;
    if (this.run?.stretch) this.play(this.run.stretch);
  }

  setLoop(loop) {
    this.loop = loop;
    const voice = this.run?.voice;
    if (!voice) return;
    voice.source.loop = loop;
    voice.cyclic ||= loop;
  }

  destroy() {
    this.stop();
    sounds.delete(this);
    this.url = null;
    this.element.removeAttribute("src");
    this.element.load();
  }
}
