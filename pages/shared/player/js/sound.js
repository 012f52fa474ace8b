// Playback. A media element plays whole recordings, and at any speed; a short range at normal speed plays from samples,
// with an exact start and end. Only one sound on the page plays at a time.

import { clamp } from "./axes.js";
import { LONGEST_RETRY_MS, RETRY_MS, fadeOut, fetchStretch, playSamples, readHeader, withFades } from "./wav.js";

const MAX_STRETCH_S = 60;
const MAX_CUTS = 8;
const SILENT_AFTER_MS = 3_000;
const sounds = new Set();
let context = null;

function pauseOtherSounds(mine) {
  for (const sound of sounds) if (sound !== mine) sound.pause();
  if (mine) for (const other of document.querySelectorAll("audio, video")) other.pause();
}

// Events of other media elements do not bubble, but pass through the document in the capture phase.
document.addEventListener("play", () => pauseOtherSounds(null), true);

// A context at the recording's own rate avoids resampling in the page.
function contextAt(rate) {
  if (context?.sampleRate === rate) return context;
  context?.close();
  context = new AudioContext({ sampleRate: rate });
  return context;
}

export class Sound {
  // `changed(event)` is called when playback starts, stops, ends or seeks, with "silent" while nothing can be heard, and
  // with "heard" once it can.
  constructor(element, changed) {
    this.element = element;
    this.changed = changed;
    this.rate = 1;
    this.loop = false;
    this.run = null; // the current playback: { stretch or null, voice or null if the element plays }
    this.others = [];
    this.cuts = new Map();
    this.ticket = 0; // of the newest request; older requests that wait for bytes give up
    element.addEventListener("ended", () => this.run && !this.run.voice && this.ended());
    element.addEventListener("pause", () => this.pausedByOthers());
    element.addEventListener("error", () => this.failed());
    element.addEventListener("loadedmetadata", () => (this.retryMs = RETRY_MS));
    sounds.add(this);
  }

  load(url, duration) {
    this.stop();
    Object.assign(this, { duration, at: 0, others: [] });
    this.open(url);
    this.requestHeader(url);
  }

  // Until a retry succeeds, the header is a rejected promise.
  requestHeader(url, pause = RETRY_MS) {
    const request = (this.header = this.ahead?.url === url ? this.ahead.header : readHeader(url));
    request.catch(() => {
      setTimeout(() => {
        if (this.header === request && sounds.has(this)) this.requestHeader(url, Math.min(2 * pause, LONGEST_RETRY_MS));
      }, pause);
    });
  }

  open(url) {
    Object.assign(this, { url, retryMs: RETRY_MS });
    this.element.src = url;
  }

  // Fetch a short recording that will be opened next: it then plays at once, from its samples.
  fetchAhead({ url, duration } = {}) {
    if (!url || duration > MAX_STRETCH_S || [this.url, this.ahead?.url].includes(url)) return;
    const header = readHeader(url);
    const samples = header.then((known) => fetchStretch(url, known, { start: 0, end: duration }).then((all) => withFades(all, known.rate)));
    this.ahead = { url, header, samples };
    samples.catch(() => { this.ahead = null; });
  }

  // Fetch other versions of the same length now, so that switching makes no pause.
  offer(urls) {
    if (urls.join() === this.others.join()) return;
    this.others = urls;
    if (this.duration <= MAX_STRETCH_S) this.header.then((header) => urls.forEach((url) => this.samplesOf({ start: 0, end: this.duration }, header, url))).catch(() => {});
  }

  // Switch to another version with the same header at the same position, without a pause or a status text.
  switchTo(url) {
    if (url === this.url) return;
    const { run } = this;
    const stretch = run?.stretch ?? null;
    const at = this.positionAt(0); // both have the same latency, so nothing is heard twice
    this.silence();
    this.at = at;
    this.open(url);
    this.element.currentTime = this.at;
    if (run) this.play(stretch);
  }

  // The position that is audible now.
  get position() {
    return this.positionAt(context?.outputLatency || 0);
  }

  // The position that is audible after this latency in seconds; for 0, what leaves the page now.
  positionAt(latency) {
    if (!this.run) return this.at;
    const { stretch, voice } = this.run;
    if (!voice) return this.run.begun ? this.element.currentTime : this.at;
    const passed = Math.max(0, context.currentTime - latency - voice.startedAt) + voice.offset;
    const length = stretch.end - stretch.start;
    return stretch.start + (voice.cyclic ? passed % length : Math.min(passed, length));
  }

  // Continue playback; a stretch plays from its start, or from the position within it, to its end.
  async play(stretch = null) {
    this.silence();
    const ticket = ++this.ticket;
    pauseOtherSounds(this);
    // With several versions a short recording plays from samples too, to switch without a gap.
    const whole = (this.others.length && this.duration <= MAX_STRETCH_S) || this.ahead?.url === this.url;
    if (!stretch && whole) stretch = { start: 0, end: this.duration };
    const [start, end] = stretch ? [stretch.start, stretch.end] : [0, this.duration];
    if (this.at < start || this.at >= end - 0.001) this.at = start;
    this.run = { stretch, voice: null, begun: false };
    this.changed("play");
    const fromSamples = stretch && this.rate === 1 && end - start <= MAX_STRETCH_S;
    try {
      if (!(fromSamples && (await this.playFromSamples(stretch, ticket)))) await this.playElement(stretch, ticket);
    } catch {
      // Refused by the browser (without a user gesture), or not available.
      if (ticket === this.ticket) this.couldNotPlay();
    }
  }

  async playFromSamples(stretch, ticket) {
    const header = await this.header;
    const samples = await this.samplesOf(stretch, header);
    if (ticket !== this.ticket) return true;
    let voice;
    // Without an audio device, Firefox waits for one here.
    const silent = setTimeout(() => ticket === this.ticket && this.changed("silent"), SILENT_AFTER_MS);
    try {
      await contextAt(header.rate).resume();
      if (ticket !== this.ticket) return true;
      voice = playSamples(context, samples, header.rate, this.at - stretch.start, this.loop);
    } catch {
      return false; // a sample rate that this browser does not support
    } finally {
      clearTimeout(silent);
    }
    voice.source.onended = () => this.run?.voice === voice && this.ended();
    this.run.voice = voice;
    this.changed("heard");
    return true;
  }

  // The samples of a stretch. The latest ones are cached: they are fetched on selection, and played on request.
  samplesOf({ start, end }, header, url = this.url) {
    if (this.ahead?.url === url && start === 0 && end === this.duration) return this.ahead.samples;
    const key = `${url} ${start} ${end}`;
    const samples = this.cuts.get(key) ?? fetchStretch(url, header, { start, end }).then((all) => withFades(all, header.rate));
    this.cuts.delete(key);
    this.cuts.set(key, samples);
    while (this.cuts.size > MAX_CUTS) this.cuts.delete(this.cuts.keys().next().value);
    samples.catch(() => this.cuts.delete(key));
    return samples;
  }

  prepare(stretch) {
    if (stretch.end - stretch.start > MAX_STRETCH_S) return;
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

  // A timer, because animation frames pause in hidden tabs.
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

  // Stop playback without a status text.
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

  couldNotPlay() {
    this.stop();
    this.changed("silent");
  }

  // Every browser decodes WAV, so a decoding error means that there is no audio device. Other errors are the server's,
  // which loses files for a moment when a rerun interrupts another.
  failed() {
    if (this.element.error?.code === MediaError.MEDIA_ERR_DECODE) this.couldNotPlay();
    else this.loadAgain();
  }

  loadAgain() {
    const { url, run, position } = this;
    setTimeout(() => {
      if (!url || this.url !== url) return;
      this.element.load();
      this.element.currentTime = position;
      if (run && this.run === run && !run.voice) this.element.play().catch(() => this.couldNotPlay());
    }, this.retryMs);
    this.retryMs = Math.min(2 * this.retryMs, LONGEST_RETRY_MS);
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
