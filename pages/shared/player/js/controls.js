// The controls around the lanes: the toolbar with the choice of version and the list of keys above, the transcript and
// the table of regions below.

import { EDITING_POINTER, POINTER, keysOf, oneCharacter } from "./input/keys.js";
import { shadeOf } from "./pictures.js";
import { decimal, t } from "../../language/language.js";

const SPEEDS = [0.25, 0.5, 0.75, 1, 1.25, 1.5, 2];
const ICONS = {
  play: '<path d="M4 2.5v11l9-5.5z"/>',
  pause: '<path d="M4 3v10M12 3v10" stroke-width="3"/>',
  loop: '<path d="M3 7.5a4 4 0 0 1 4-4h6M11 1.5l2 2-2 2M13 8.5a4 4 0 0 1-4 4H3M5 14.5l-2-2 2-2"/>',
  out: '<path d="M3 8h10"/>',
  in: '<path d="M3 8h10M8 3v10"/>',
  all: '<path d="M1.5 3v10M14.5 3v10M4 8h8M6 6L4 8l2 2M10 6l2 2-2 2"/>',
  file: '<path d="M8 2v8M4.5 7L8 10.5 11.5 7M3 13.5h10"/>',
  analyse: '<path d="M2 5v-3h3M11 2h3v3M14 11v3h-3M5 14H2v-3"/><path d="M4.5 8h1.2l1-2.5 1.6 5 1.2-3.5.7 1h1.3"/>',
  choose: '<path d="M2 3.5h12M2 8h12M2 12.5h12" opacity="0.45"/><path d="M5 2v3M11 6.5v3M7 11v3"/>',
  full: '<path d="M2.5 6v-3.5h3.5M10 2.5h3.5v3.5M13.5 10v3.5h-3.5M6 13.5h-3.5v-3.5"/>',
  draw: '<path d="M2.5 13.5l.8-3.3 7.4-7.4 2.5 2.5-7.4 7.4zM9 4.5L11.5 7"/>',
  copy: '<path d="M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3"/>',
  ask: '<path d="M5.5 6a2.5 2.5 0 1 1 3.6 2.2C8.3 8.7 8 9.1 8 10M8 12.7v.1"/>',
};
export const icon = (name) => `<svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[name]}</svg>`;

export class Bar {
  constructor(player) {
    this.player = player;
    this.find = player.find;
    const buttons = {
      play: () => player.toggle(),
      loop: () => player.toggleLoop(),
      out: () => player.zoom(1 / 1.5),
      in: () => player.zoom(1.5),
      all: () => player.showAll(),
      choose: () => player.menu.toggle(),
      full: () => player.toggleFull(),
      analyse: () => player.commands.analyse(),
      ask: () => this.help(),
    };
    for (const [name, action] of Object.entries(buttons)) {
      const button = this.find(`.bar .${name}`);
      button.innerHTML = icon(name);
      button.addEventListener("click", action);
    }
    const speed = this.find(".speed select");
    speed.append(...SPEEDS.map((rate) => new Option(`${decimal(rate)}×`, rate, rate === 1, rate === 1)));
    speed.addEventListener("change", () => player.sound.setRate(Number(speed.value)));
    for (const choice of [".overlay select", ".opacity input", ".colours select"]) {
      this.find(choice).addEventListener("input", () => player.view.refresh());
    }
    this.find(".colours select").addEventListener("input", () => { this.coloursChosen = true; });
  }

  showPlaying(playing) {
    const button = this.find(".play");
    button.innerHTML = icon(playing ? "pause" : "play");
    button.setAttribute("aria-label", playing ? t("Pause (Space)") : t("Play (Space)"));
  }

  // The chosen overlay stays chosen while it exists, and so does "none". A single map is only called "Evidence", because the
  // page names it. Until the visitor chooses the spectrogram's colours, they are grey under a map, and magma without one.
  offerOverlays() {
    const { overlays, spectrogram } = this.player.data;
    const list = this.find(".overlay select");
    const names = overlays.map(({ name }) => name);
    const before = [...list.options].map(({ value }) => value).slice(1);
    if (before.join("\n") !== names.join("\n")) {
      const isNone = list.options.length > 1 && list.value === "";
      const isKnown = isNone || names.includes(list.value);
      const chosen = isKnown ? list.value : (names[0] ?? "");
      list.replaceChildren(new Option(t("none"), ""), ...names.map((name) => new Option(names.length > 1 ? name : t("Evidence"), name)));
      list.value = chosen;
    }
    this.find(".overlay").hidden = this.find(".opacity").hidden = !names.length;
    this.find(".colours").hidden = !spectrogram;
    if (!this.coloursChosen) this.find(".colours select").value = names.length ? "grey" : "magma";
  }

  // The chosen version stays chosen while it exists; if it was recomputed, the new one plays at once.
  offerVersions() {
    const { sound } = this.player;
    const { sounds, recording } = this.player.data;
    const group = this.find(".sounds");
    group.hidden = !sounds.length;
    const chosen = sounds.find(({ name }) => name === this.version) ?? sounds[0] ?? recording;
    this.version = chosen.name;
    sound.offer(sounds.map(({ url }) => url));
    sound.switchTo(chosen.url);
    const known = [...group.children].map(({ textContent }) => textContent);
    if (known.join("\n") !== sounds.map(({ name }) => name).join("\n")) {
      group.replaceChildren(...sounds.map((_, index) => this.versionButton(index)));
    }
    this.markVersion();
  }

  versionButton(index) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", textContent: this.player.data.sounds[index].name, title: t("Play this version ({key})", { key: index + 1 }) });
    button.setAttribute("role", "radio");
    button.addEventListener("click", () => this.playVersion(index));
    button.addEventListener("keydown", (event) => {
      const direction = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (!direction) return;
      event.preventDefault();
      event.stopPropagation();
      const { length } = this.player.data.sounds;
      this.playVersion((index + direction + length) % length, true);
    });
    return button;
  }

  playVersion(index, focus = false) {
    const chosen = this.player.data.sounds[index];
    if (!chosen) return;
    this.version = chosen.name;
    this.player.sound.switchTo(chosen.url);
    this.markVersion(focus);
    this.player.announce(t("Playing {name}", { name: chosen.name }));
  }

  markVersion(focus = false) {
    [...this.find(".sounds").children].forEach((button, index) => {
      const chosen = this.player.data.sounds[index].name === this.version;
      button.setAttribute("aria-checked", chosen);
      button.tabIndex = chosen ? 0 : -1;
      if (chosen && focus) button.focus();
    });
  }

  help() {
    const box = this.find(".help");
    box.hidden = !box.hidden;
    this.find(".ask").setAttribute("aria-expanded", !box.hidden);
    if (box.hidden) return;
    const list = document.createElement("dl");
    for (const [keys, , words] of [...keysOf(this.player), ...POINTER, ...(this.player.regions.editable ? EDITING_POINTER : [])]) {
      const row = document.createElement("div");
      row.append(
        Object.assign(document.createElement("dt"), { textContent: keys }),
        Object.assign(document.createElement("dd"), { textContent: words }),
      );
      list.append(row);
    }
    box.replaceChildren(list, this.keySwitch());
  }

  keySwitch() {
    const label = document.createElement("label");
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: oneCharacter.on });
    box.addEventListener("change", () => {
      oneCharacter.on = box.checked;
    });
    label.append(box, t("Keys of one character work while the focus is in the player"));
    return label;
  }
}

// The words in a row, each above its value. A click plays a word; with Shift, all from the word clicked before.
export class Transcript {
  // `play(stretch)` is called for a word or a phrase.
  constructor(element, play) {
    Object.assign(this, { element, play, shown: "null", words: [], from: null });
  }

  set(words) {
    const content = JSON.stringify(words);
    if (content === this.shown) return;
    Object.assign(this, { shown: content, words, from: null });
    this.element.hidden = !words.length;
    this.element.replaceChildren(...words.map((word, index) => this.button(word, index)));
  }

  button(word, index) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: word.label, title: word.note ?? "" });
    const label = t("Play {name}", { name: word.label });
    button.setAttribute("aria-label", word.note ? `${label}. ${word.note}` : label);
    button.classList.toggle("focus", Boolean(word.focus));
    if (word.figure) button.append(Object.assign(document.createElement("small"), { textContent: word.figure }));
    if (word.share) button.style.setProperty("--shade", shadeOf(word.share));
    button.addEventListener("click", (event) => this.clicked(index, event.shiftKey));
    return button;
  }

  clicked(index, extend) {
    const from = extend && this.from !== null ? this.from : index;
    if (!extend) this.from = index;
    const phrase = this.words.slice(Math.min(from, index), Math.max(from, index) + 1);
    this.play({ start: phrase[0].start, end: Math.max(...phrase.map(({ end }) => end)) });
  }

  // Highlight the word that is playing.
  markAt(time) {
    [...this.element.children].forEach((button, index) => {
      const { start, end } = this.words[index];
      button.classList.toggle("playing", time !== null && time >= start && time < end);
    });
  }
}

// A row per region: buttons to play or loop it, its figures, and a download link.
export class RegionTable {
  // `play(index, loop)` is called for a row.
  constructor(element, play) {
    Object.assign(this, { element, play, shown: "null", rows: [] });
  }

  set(table) {
    const content = JSON.stringify(table);
    if (content === this.shown) return;
    this.shown = content;
    const focusable = () => [...this.element.querySelectorAll("button, a")];
    const focused = focusable().indexOf(this.element.getRootNode().activeElement);
    this.element.hidden = !table?.rows.length;
    this.rows = this.element.hidden ? [] : table.rows.map((row, index) => this.row(row, index));
    if (this.element.hidden) return this.element.replaceChildren();
    const head = document.createElement("tr");
    head.append(hiddenHeading(t("Play")), ...table.columns.map(({ title, means }) => Object.assign(cell("th", title), { title: means, scope: "col" })), hiddenHeading(t("Download")));
    const body = document.createElement("tbody");
    body.append(...this.rows);
    const whole = document.createElement("table");
    whole.append(document.createElement("thead"), body);
    whole.tHead.append(head);
    this.element.replaceChildren(whole);
    focusable()[focused]?.focus({ preventScroll: true });
  }

  row({ cells, file, url }, index) {
    const row = document.createElement("tr");
    const actions = document.createElement("td");
    const name = index + 1;
    actions.append(this.button("play", t("Play region {name}", { name }), index, false), this.button("loop", t("Loop region {name}", { name }), index, true));
    const link = Object.assign(document.createElement("a"), { href: url, download: file, title: t("Download as WAV"), innerHTML: icon("file") });
    link.setAttribute("aria-label", t("Download region {name} as WAV", { name }));
    const last = document.createElement("td");
    last.append(link);
    row.append(actions, ...cells.map((text) => cell("td", text)), last);
    return row;
  }

  button(name, words, index, loop) {
    const button = Object.assign(document.createElement("button"), { type: "button", title: words, innerHTML: icon(name) });
    button.setAttribute("aria-label", words);
    button.addEventListener("click", () => this.play(index, loop));
    return button;
  }

  // Highlight the regions that are playing.
  markAt(regions, time) {
    this.rows.forEach((row, index) => {
      const { start, end } = regions[index] ?? {};
      row.classList.toggle("playing", time !== null && time >= start && time < end);
    });
  }
}

// The heading of a column, for screen readers only.
function hiddenHeading(words) {
  const head = Object.assign(document.createElement("th"), { scope: "col" });
  head.append(Object.assign(cell("span", words), { className: "unseen" }));
  return head;
}

const cell = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
