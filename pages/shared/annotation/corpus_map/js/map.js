// A map of recordings: up to ten thousand points to move, zoom, play and choose.

import { Gestures } from "./gestures.js";
import { trace } from "./glyphs.js";
import { Keys } from "./keys.js";
import { Legend } from "./legend.js";
import { PointsLayer, RADIUS } from "./points_layer.js";
import { Scene } from "./scene.js";
import { Sound } from "./sound.js";
import { plural, t } from "../../../language/language.js";

const maps = new WeakMap();
const CLOSER = 1.6;

export default function mount({ parentElement, data, setTriggerValue }) {
  const map = maps.get(parentElement) ?? new CorpusMap(parentElement.querySelector(".map"));
  maps.set(parentElement, map);
  map.update(data, setTriggerValue);
  return () => {
    if (parentElement.isConnected) return; // the element stays, and gets new data
    map.close();
    maps.delete(parentElement);
  };
}

class CorpusMap {
  constructor(root) {
    const part = (name) => root.querySelector(`.${name}`);
    Object.assign(this, { root, field: part("field"), over: part("over"), tip: part("tip"), status: part("status") });
    Object.assign(this, { points: new PointsLayer(part("points")), scene: new Scene([], []), chosen: new Uint8Array(0) });
    Object.assign(this, { current: -1, hovered: -1, lasso: false, line: null });
    this.sound = new Sound((index) => this.send("heard", [index]), (text) => this.say(text));
    this.legend = new Legend(part("legend"), () => this.filter());
    this.keys = new Keys(this, this.field);
    this.gestures = new Gestures(this, this.field);
    this.buttons = Object.fromEntries([...root.querySelectorAll(".bar button")].map((one) => [one.name, one]));
    for (const [name, button] of Object.entries(this.buttons)) button.addEventListener("click", () => this.press(name));
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(this.field);
  }

  close() {
    this.sound.stop();
    this.watch.disconnect();
    cancelAnimationFrame(this.frame);
  }

  async update(data, trigger) {
    Object.assign(this, { trigger, data });
    this.root.style.setProperty("--st-height", `${data.height}px`);
    if (data.address !== this.address) {
      this.address = data.address;
      try {
        const answer = await fetch(data.address);
        if (!answer.ok) throw new Error(answer.status);
        const content = await answer.json();
        if (data.address === this.address) this.take(content);
      } catch {
        this.address = null;
        this.say(t("The map could not be loaded. Load the page again."));
        return;
      }
    }
    if (!this.content || this.address !== this.data.address) return;
    this.show();
    this.sound.receive(this.data.sound);
  }

  // New labels at the same positions keep the view.
  take(content) {
    const isSameLayout = this.content?.layout === content.layout;
    this.content = content;
    if (!isSameLayout) {
      this.scene = new Scene(Float32Array.from(content.x), Float32Array.from(content.y));
      this.chosen = new Uint8Array(this.scene.count);
      Object.assign(this, { current: -1, hovered: -1 });
      this.resize();
    }
  }

  show() {
    const { content, data } = this;
    this.colouring = content.colourings.find(({ key }) => key === data.colouring) ?? content.colourings[0];
    const { backgroundColor, color } = getComputedStyle(this.root);
    this.ink = color;
    this.points.recolour(this.colouring, backgroundColor);
    this.legend.update(this.colouring.title, this.colouring.groups, backgroundColor);
    this.chosen.fill(0);
    for (const index of data.chosen) this.chosen[index] = 1;
    this.filter();
    this.mark();
  }

  filter() {
    const { of, groups } = this.colouring;
    const shown = groups.map(({ name }) => (this.legend.hidden.has(name) ? 0 : 1));
    for (let index = 0; index < this.scene.count; index++) this.scene.visible[index] = shown[of[index]];
    this.redraw();
  }

  // --- what a person does ---

  press(name) {
    const actions = {
      draw: () => { this.lasso = !this.lasso; },
      in: () => this.zoomMiddle(CLOSER),
      out: () => this.zoomMiddle(1 / CLOSER),
      all: () => this.fit(),
      sound: () => this.sound.switch(!this.sound.on),
      none: () => this.choose([], false),
    };
    actions[name]();
    this.mark();
  }

  mark() {
    this.buttons.draw.setAttribute("aria-pressed", String(this.lasso));
    this.buttons.sound.setAttribute("aria-pressed", String(this.sound.on));
    this.buttons.none.disabled = !this.chosen.includes(1);
    this.field.classList.toggle("lasso", this.lasso);
  }

  pan(dx, dy) {
    this.scene.pan(dx, dy);
    this.redraw();
  }

  zoom(factor, x, y) {
    this.scene.zoom(factor, x, y);
    this.redraw();
  }

  zoomMiddle(factor) {
    this.zoom(factor, this.scene.width / 2, this.scene.height / 2);
  }

  fit() {
    this.scene.fit();
    this.redraw();
  }

  hover(index) {
    if (index === this.hovered) return;
    this.hovered = index;
    this.sound.hover(index);
    this.redraw(false);
  }

  goTo(index) {
    Object.assign(this, { current: index, hovered: index });
    this.say(`${this.content.names[index]} · ${this.describe(index)}`);
    this.sound.hover(index);
    this.redraw();
  }

  // The first click turns the sound on.
  click(index, add) {
    this.field.focus({ preventScroll: true });
    if (index < 0) return;
    this.current = index;
    if (add) return this.choose([index], true, true);
    this.sound.switch(true);
    this.sound.play(index);
    this.mark();
    this.redraw(false);
  }

  play(index) {
    if (index >= 0) this.sound.toggle(index);
  }

  open(index) {
    if (index >= 0) this.send("opened", [index]);
  }

  choose(indices, add, toggle = false) {
    if (!add) this.chosen.fill(0);
    for (const index of indices) this.chosen[index] = toggle ? 1 - this.chosen[index] : 1;
    const all = [...this.chosen.keys()].filter((index) => this.chosen[index]);
    this.say(plural(all.length, "{n} recording chosen.", "{n} recordings chosen."));
    this.send("chosen", all);
    this.mark();
    this.redraw();
  }

  send(action, indices) {
    this.number = (this.number ?? 0) + 1;
    this.trigger(action, { of: this.content.of, indexes: indices, number: this.number });
  }

  // --- what is shown ---

  describe(index) {
    return this.content.colourings.map(({ title, groups, of }) => `${title}: ${groups[of[index]].name}`).join(" · ");
  }

  say(text) {
    this.status.textContent = text;
  }

  showLine(line) {
    this.line = line;
    this.redraw(false);
  }

  resize() {
    const { clientWidth, clientHeight } = this.field;
    if (!clientWidth || !clientHeight) return;
    this.ratio = Math.min(devicePixelRatio || 1, 2);
    this.over.width = Math.round(clientWidth * this.ratio);
    this.over.height = Math.round(clientHeight * this.ratio);
    this.points.resize(this.over.width, this.over.height, this.ratio);
    this.scene.resize(clientWidth, clientHeight);
    if (!this.sized) this.scene.fit();
    this.sized = true;
    this.redraw();
  }

  // Points have their own canvas, so that the rings and the lasso above them change without drawing points again.
  redraw(points = true) {
    this.stale ||= points;
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      if (!this.colouring || !this.sized) return;
      if (this.stale) this.points.draw(this.scene, this.chosen);
      this.stale = false;
      this.drawOver();
    });
  }

  drawOver() {
    const context = this.over.getContext("2d");
    const { ratio, scene } = this;
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, scene.width, scene.height);
    context.strokeStyle = this.ink;
    for (const [index, width] of [[this.current, 1.5], [this.hovered, 2.5]]) {
      if (index < 0 || !scene.visible[index]) continue;
      const { x, y } = scene.at(index);
      context.lineWidth = width;
      trace(context, "circle", x, y, 2.4 * RADIUS);
      context.stroke();
    }
    if (this.line) {
      context.lineWidth = 1.5;
      context.setLineDash([5, 4]);
      context.beginPath();
      for (const { x, y } of this.line) context.lineTo(x, y);
      context.closePath();
      context.stroke();
      context.setLineDash([]);
    }
    this.showTip();
  }

  showTip() {
    const { tip, scene, hovered } = this;
    tip.hidden = hovered < 0 || !scene.visible[hovered];
    if (tip.hidden) return;
    const name = Object.assign(document.createElement("b"), { textContent: this.content.names[hovered] });
    tip.replaceChildren(name, this.describe(hovered));
    const { x, y } = scene.at(hovered);
    tip.style.left = `${Math.min(Math.max(x - tip.offsetWidth / 2, 4), Math.max(4, scene.width - tip.offsetWidth - 4))}px`;
    tip.style.top = `${y > tip.offsetHeight + 18 ? y - tip.offsetHeight - 14 : y + 14}px`;
  }
}
