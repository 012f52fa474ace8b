// The bounds of the selection and of the selected region: typed, moved by milliseconds, or moved to zero crossings of the
// sound.

import { clamp } from "../axes.js";
import { fetchStretch } from "../wav.js";
import { secondsOf, t } from "../../../language/language.js";

const MIN_LENGTH_S = 0.001;
// The largest distance from an edge to a zero crossing.
const REACH_S = 0.02;

export class Bounds {
  constructor(player, element) {
    Object.assign(this, { player, element, edge: "end" });
    this.inputs = { start: element.querySelector(".start"), end: element.querySelector(".end") };
    element.addEventListener("submit", (event) => this.typed(event));
    element.addEventListener("keydown", (event) => this.key(event));
    // Typed bounds stay until the focus leaves both fields, or something else is selected.
    element.addEventListener("focusout", ({ relatedTarget }) => element.contains(relatedTarget) || this.show(true));
  }

  show(leaving = false) {
    const { selection } = this.player;
    this.element.hidden = !selection;
    if (!selection) return;
    const isSame = this.shown?.start === selection.start && this.shown.end === selection.end;
    const typing = !leaving && isSame && this.element.matches(":focus-within");
    this.shown = selection;
    this.element.classList.toggle("clock", this.player.axis.showsClock);
    for (const [name, input] of Object.entries(this.inputs)) {
      if (!typing) input.value = this.player.axis.typed(selection[name]);
      input.classList.toggle("moving", name === this.edge);
      input.inputMode = this.player.axis.showsClock ? "text" : "decimal"; // a phone's decimal keys have no colon
    }
  }

  type() {
    if (!this.player.selection) return this.player.announce(t("Select a stretch first"));
    this.inputs.start.focus({ preventScroll: true });
    this.inputs.start.select();
  }

  key(event) {
    event.stopPropagation();
    if (event.key === "Escape") this.leave();
  }

  leave() {
    const { marks, timeline } = this.player;
    const { keyTarget } = marks;
    (keyTarget.buttons[keyTarget.chosenIndex()] ?? timeline).focus({ preventScroll: true });
  }

  typed(event) {
    event.preventDefault();
    const { axis } = this.player;
    const { duration, origin } = axis;
    const [start, end] = [this.inputs.start, this.inputs.end].map(({ value }) => secondsOf(value) - origin);
    if (!(start >= -1e-9 && end <= duration + MIN_LENGTH_S && end - start >= MIN_LENGTH_S - 1e-9)) {
      const [from, last] = [axis.typed(0), axis.typed(duration)];
      const to = axis.showsClock ? last : t("{seconds} s", { seconds: last });
      this.player.showReadout(t("Bounds must be from {from} to {to}, and at least 1 ms apart", { from, to }));
      return this.player.announce(t("These bounds are not possible"));
    }
    this.leave();
    this.set({ start: Math.max(0, start), end: Math.min(end, duration) });
    this.player.marks.keyTarget.settle();
  }

  // Let keys move the other edge; the edge that moves is underlined.
  turn() {
    this.edge = this.edge === "end" ? "start" : "end";
    this.show();
    this.player.announce(this.edge === "end" ? t("The end moves") : t("The start moves"));
  }

  nudge(seconds) {
    const { selection, axis } = this.player;
    if (!selection) return this.player.announce(t("Select a stretch first"));
    const { start, end } = selection;
    const [min, max] = this.edge === "start" ? [0, end - MIN_LENGTH_S] : [start + MIN_LENGTH_S, axis.duration];
    this.set({ start, end, [this.edge]: clamp(selection[this.edge] + seconds, min, max) });
  }

  set({ start, end }) {
    const { player } = this;
    const { keyTarget } = player.marks;
    const region = keyTarget.list[keyTarget.chosenIndex()];
    if (region && keyTarget.editable) keyTarget.moveEdges({ ...region, start, end });
    player.setSelection({ start, end }, true);
  }

  async toZero() {
    const { player } = this;
    const { selection, sound } = player;
    if (!selection) return player.announce(t("Select a stretch first"));
    const { url } = sound;
    const header = await sound.header;
    const [start, end] = await Promise.all([selection.start, selection.end].map((edge) => crossingNear(edge, url, header)));
    if (player.selection !== selection || sound.url !== url) return;
    if (start === null || end === null || end - start < MIN_LENGTH_S) return player.announce(t("The sound does not cross zero near here"));
    this.set({ start, end });
    player.marks.keyTarget.settle();
  }
}

// The time of the nearest zero crossing, interpolated between two samples; null if there is none near.
async function crossingNear(time, url, header) {
  const from = Math.max(0, Math.round((time - REACH_S) * header.rate)) / header.rate;
  const samples = await fetchStretch(url, header, { start: from, end: time + REACH_S });
  return nearestCrossing(samples, (time - from) * header.rate, header.rate, from);
}

export function nearestCrossing(samples, at, rate, from) {
  let best = null;
  for (let index = 0; index + 1 < samples.length; index++) {
    const [one, next] = [samples[index], samples[index + 1]];
    if (one > 0 === next > 0 && one !== 0) continue;
    const crossing = one === next ? index : index + one / (one - next);
    if (best === null || Math.abs(crossing - at) < Math.abs(best - at)) best = crossing;
  }
  return best === null ? null : from + best / rate;
}
