// The menu of lanes, and the line of measures below them.

import { icon } from "../controls.js";
import { asTable, framesOf, inWords, measuresOf } from "./measures.js";
import { t } from "../../../language/language.js";

// The lanes that can be chosen, in order. Lanes with `byDefault` are shown if the page has data for them; those with
// `measured` need measures, which are computed once such a lane is shown.
const CHOICES = [
  { name: "spectrogram", words: t("Log-mel spectrogram"), byDefault: true },
  { name: "spectrum", words: t("Spectrogram") },
  { name: "formants", words: t("Formants"), measured: true },
  { name: "f0", words: "F0", measured: true },
  { name: "intensity", words: t("Intensity"), measured: true },
  { name: "hnr", words: t("Harmonics-to-noise ratio"), measured: true },
  { name: "tilt", words: t("Spectral tilt"), measured: true },
  { name: "measures", words: t("Measures of the selection"), measured: true },
  { name: "profile", words: t("Evidence over time"), byDefault: true },
  { name: "scores", words: t("Segment scores"), byDefault: true },
];
const SETTINGS = {
  window: { words: t("Window"), of: () => [["wide", t("Wide band, 5 ms")], ["narrow", t("Narrow band, 30 ms")]] },
  top: {
    words: t("Up to"),
    of: (rate) => {
      const lower = [3000, 4000, 5500, 8000, 12000, 16000].filter((hz) => hz < rate / 2);
      return [...lower.map((hz) => [hz, `${hz} Hz`]), [0, t("{hz} Hz, all", { hz: Math.round(rate / 2) })]];
    },
  },
  decibels: { words: t("Dynamic range"), of: () => [30, 40, 50, 60, 70, 80, 100].map((decibels) => [decibels, `${decibels} dB`]) },
  scale: { words: t("Frequency axis"), of: () => [["linear", t("Linear")], ["mel", "Mel"], ["bark", "Bark"]] },
};
const WINDOWS = { wide: t("wide band, 5 ms"), narrow: t("narrow band, 30 ms") };
const DEFAULTS = { window: "wide", top: 8000, decibels: 70, scale: "linear", ceiling: 5500 };
// Kept for the visit, for all players in this tab of the browser.
const STORED = "hear-why-lanes";
// Time between requests for measures that are not ready.
const [MIN_RETRY_MS, MAX_RETRY_MS] = [500, 3000];

function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(STORED)) ?? {};
  } catch {
    return {}; // refused by the browser
  }
}

// The choice of lanes and its settings, and the line of measures below the lanes.
export class LanesMenu {
  constructor(player) {
    const { shown = {}, settings = {} } = stored();
    Object.assign(this, { player, find: player.find, retryMs: MIN_RETRY_MS, shown, settings: { ...DEFAULTS, ...settings } });
    this.find(".measures .copy").innerHTML = icon("copy");
    this.find(".measures .copy").addEventListener("click", () => this.copy());
  }

  // The highest frequency that is shown.
  get top() {
    const nyquist = this.player.data.recording.rate / 2;
    return this.settings.top ? Math.min(this.settings.top, nyquist) : nyquist;
  }

  get ceiling() {
    return Number(this.settings.ceiling);
  }

  get windowInWords() {
    return WINDOWS[this.settings.window];
  }

  available() {
    const { data } = this.player;
    return CHOICES.filter(({ name, byDefault, measured }) => (byDefault ? data[name] || data.awaited.includes(name) : !measured || data.measures));
  }

  isShown(name) {
    const choice = this.available().find((one) => one.name === name);
    return Boolean(choice && (this.shown[name] ?? choice.byDefault ?? false));
  }

  hiddenLanes() {
    return this.available().filter(({ name, byDefault }) => byDefault && !this.isShown(name)).map(({ name }) => name);
  }

  addedLanes() {
    return this.available().filter(({ name, byDefault }) => !byDefault && this.isShown(name) && !["formants", "measures"].includes(name)).map(({ name }) => name);
  }

  // Follow the data from Python; `send` requests the measures that are needed.
  offer(send) {
    this.send = send;
    const { data } = this.player;
    const choices = JSON.stringify([this.available().map(({ name }) => name), data.recording.rate]);
    if (choices !== this.builtChoices) this.build();
    this.builtChoices = choices;
    this.requestMeasures();
  }

  requestMeasures() {
    const { measures } = this.player.data;
    const needed = this.available().some(({ name, measured }) => measured && this.isShown(name));
    clearTimeout(this.timer);
    if (!needed || !measures || (measures.ceiling === this.ceiling && measures.state !== "running" && !measures.more)) {
      this.retryMs = MIN_RETRY_MS;
      return;
    }
    if (this.requested !== this.ceiling) this.sendRequest();
    this.timer = setTimeout(() => {
      if (!this.player.root.isConnected) return;
      this.sendRequest();
      this.requestMeasures();
    }, this.retryMs);
    this.retryMs = Math.min(1.5 * this.retryMs, MAX_RETRY_MS);
  }

  // A busy Python receives only the last of several messages, so the request may be sent again.
  sendRequest() {
    if (this.requested !== this.ceiling) this.retryMs = MIN_RETRY_MS;
    this.requested = this.ceiling;
    this.send("lanes", { ceiling: this.ceiling, at: Date.now() });
  }

  build() {
    const { data } = this.player;
    const lanes = this.available().map(({ name, words }) => {
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: words });
      button.dataset.lane = name;
      button.addEventListener("click", () => this.choose(name));
      return button;
    });
    this.find(".menu .choices").replaceChildren(...lanes);
    const fields = Object.entries(SETTINGS).map(([name, { words, of }]) => this.field(name, words, of(data.recording.rate)));
    if (data.measures) fields.push(this.field("ceiling", t("Formant ceiling"), data.measures.ceilings.map(([hz, whose]) => [hz, `${hz} Hz, ${whose}`])));
    this.find(".menu .settings").replaceChildren(...fields);
    this.mark();
  }

  field(name, words, options) {
    const label = document.createElement("label");
    const select = document.createElement("select");
    select.append(...options.map(([value, text]) => new Option(text, value)));
    select.value = options.some(([value]) => value === this.settings[name]) ? this.settings[name] : options.at(-1)[0];
    select.addEventListener("input", () => {
      const value = options[select.selectedIndex][0];
      this.change({ [name]: value }, {});
      this.player.announce(`${words}: ${options[select.selectedIndex][1]}`);
    });
    label.append(Object.assign(document.createElement("span"), { textContent: words }), select);
    return label;
  }

  toggle() {
    const menu = this.find(".menu");
    menu.hidden = !menu.hidden;
    this.find(".bar .choose").setAttribute("aria-expanded", !menu.hidden);
    if (!menu.hidden) this.find(".menu button").focus();
    else this.find(".bar .choose").focus();
  }

  // Show or hide a lane. Formants are drawn over the spectrogram, so they need it.
  choose(name) {
    const on = !this.isShown(name);
    const dependent = { formants: on && { spectrum: true }, spectrum: !on && { formants: false } }[name] || {};
    this.change({}, { [name]: on, ...dependent });
    const { words: lane } = CHOICES.find((one) => one.name === name);
    this.player.announce(on ? t("{lane} shown", { lane }) : t("{lane} hidden", { lane }));
  }

  change(settings, shown) {
    Object.assign(this.settings, settings);
    Object.assign(this.shown, shown);
    try {
      sessionStorage.setItem(STORED, JSON.stringify({ shown: this.shown, settings: this.settings }));
    } catch {
      // Refused by the browser; they are then forgotten with the page.
    }
    this.mark();
    this.requestMeasures();
    this.player.view.layOut();
  }

  mark() {
    for (const button of this.find(".menu .choices").children) button.setAttribute("aria-pressed", this.isShown(button.dataset.lane));
    this.find(".menu .settings").hidden = !this.isShown("spectrum");
    this.measure();
  }

  // --- the measures of the selection ---

  // The measures, or null while they are not ready.
  measured() {
    const { selection, view, data } = this.player;
    const { values } = view?.picture?.tracks ?? {};
    if (!selection || !values || data.measures.more) return null;
    const frames = framesOf(values, selection);
    return frames && measuresOf(frames, selection);
  }

  measure() {
    if (!this.player.data) return;
    const line = this.find(".measures");
    line.hidden = !this.isShown("measures");
    const { selection, view } = this.player;
    if (line.hidden || !selection) this.copying = false;
    if (line.hidden) return;
    const measures = this.measured();
    const message = selection ? (view?.picture?.tracks.message ?? t("Measuring …")) : t("Select a stretch to measure it");
    const words = measures ? inWords(measures) : message;
    const shown = this.find(".measures .words");
    if (shown.textContent !== words) shown.textContent = words;
    this.find(".measures .copy").disabled = !measures;
    if (measures && this.copying) this.copy();
  }

  // Copy the measures, and show their line. If they are not ready yet, they are copied when they arrive.
  async copy() {
    const { player } = this;
    if (!player.selection) return player.announce(t("Select a stretch first"));
    if (!player.data.measures) return;
    if (!this.isShown("measures")) this.change({}, { measures: true });
    const measures = this.measured();
    this.copying = !measures;
    if (!measures) return;
    const copied = await toClipboard(asTable(measures, player.selection, player.axis.origin), this.find(".player"));
    player.announce(copied ? t("Measures copied") : t("The browser does not allow copying"));
    player.showReadout(copied ? t("Measures copied, with a heading for each column") : t("The browser does not allow copying"));
  }
}

// Browsers offer the clipboard only on https or localhost; elsewhere an older command is used.
async function toClipboard(text, parent) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text, className: "unseen" });
    const { activeElement } = parent.getRootNode();
    parent.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    activeElement?.focus({ preventScroll: true });
    return copied;
  }
}
