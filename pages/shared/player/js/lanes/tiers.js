// The tiers below the regions, with a row for each. Their marks are drawn, moved, named, split, merged and deleted like
// regions. A click plays a mark; until something else is selected, the keys refer to its tier, and the digits to its labels.

import { WAVE } from "../pictures.js";
import { Regions } from "../regions.js";
import { t } from "../../../language/language.js";

const ROW = 22;
// Minimum width of a point, and of a point with the beginning of its label.
const MIN_WIDTH = 4;
const MIN_LABELLED_WIDTH = 26;
// A click on a point selects and plays this much to either side.
const AROUND_S = 0.15;

export class Tiers {
  constructor(player) {
    Object.assign(this, { player, rows: [], chosen: null });
  }

  // Follow the data from Python. A tier keeps its row as long as it exists.
  set(tiers, snaps) {
    const before = new Map(this.rows.map((row) => [`${row.tier.key} ${row.tier.kind}`, row]));
    this.rows = tiers.map((tier) => before.get(`${tier.key} ${tier.kind}`) ?? this.newRow(tier));
    for (const row of before.values()) if (!this.rows.includes(row)) this.remove(row);
    this.rows.forEach((row, index) => row.follow(tiers[index], snaps));
  }

  newRow(tier) {
    const element = document.createElement("div");
    element.className = `regions tier ${tier.kind}`;
    element.setAttribute("role", "group");
    this.player.find(".stage .help").before(element);
    const row = new (tier.kind === "points" ? PointsRow : TierRow)(element, this.player.axis, {
      choose: (mark) => this.choose(row, mark),
      edited: (edit, words) => this.edited(row, edit, words),
      preview: () => this.player.view.redraw(),
    });
    element.addEventListener("pointerdown", () => this.enter(row));
    return row;
  }

  remove(row) {
    row.element.remove();
    if (this.chosen === row) this.chosen = null;
  }

  // From now on the keys refer to this row, even if none of its marks is selected.
  enter(row) {
    if (this.chosen === row) return;
    this.player.marks.clearChosen();
    this.chosen = row;
  }

  choose(row, mark) {
    this.enter(row);
    this.player.marks.playMark(row.stretchOf(mark));
  }

  clearChosen() {
    this.chosen?.clearChosen();
    this.chosen = null;
  }

  edited(row, edit, words) {
    this.chosen = row;
    this.player.marks.tierEdited({ ...edit, tier: row.tier.key }, `${row.tier.name}: ${words}`);
  }

  // --- layout ---

  countRows() {
    return this.rows.reduce((sum, row) => sum + Math.max(1, row.countRows()), 0);
  }

  place(lane, gutter) {
    let top = lane?.top ?? 0;
    for (const row of this.rows) {
      row.element.hidden = !lane;
      const height = ROW * Math.max(1, row.countRows());
      Object.assign(row, { top, height });
      Object.assign(row.element.style, { left: `${gutter}px`, top: `${top}px`, height: `${height - 2}px` });
      top += height;
    }
  }

  layOut() {
    for (const row of this.rows) row.layOut();
  }
}

class TierRow extends Regions {
  follow(tier, snaps) {
    this.tier = tier;
    this.labels = tier.labels;
    this.element.setAttribute("aria-label", t("Tier {name}", { name: tier.name }));
    this.set(tier.marks, { editable: true, labels: tier.labels, snaps });
  }

  colourOf({ label }) {
    return this.colours?.get(label) ?? this.tier.colour ?? WAVE;
  }

  // A mark that is drawn in a tier of free text is named at once.
  add(stretch) {
    super.add(stretch);
    if (!this.labels.length && !stretch.label) this.rename(this.chosenIndex());
  }

  dropped(drag) {
    super.dropped(drag);
    const index = this.chosenIndex();
    if (drag.part === "new" && index >= 0 && !this.labels.length) this.rename(index);
  }
}

// A click adds a point where there is none; points are moved as a whole.
class PointsRow extends TierRow {
  partAt() {
    return "middle";
  }

  stretchOf({ start }) {
    return { start: Math.max(0, start - AROUND_S), end: Math.min(this.axis.duration, start + AROUND_S) };
  }

  countRows() {
    return 1;
  }

  // A label ends at the next point.
  layOut() {
    super.layOut();
    const at = this.list.map(({ start }) => this.axis.x(start));
    this.buttons.forEach(({ classList, style }, index) => {
      const room = Math.max(MIN_WIDTH, (at[index + 1] ?? Infinity) - at[index]);
      classList.toggle("narrow", room < MIN_LABELLED_WIDTH);
      Object.assign(style, { width: "max-content", maxWidth: room < Infinity ? `${room}px` : "none" });
    });
  }

  move(event) {
    if (this.drag?.part !== "new") super.move(event);
  }

  end(now) {
    const { drag } = this;
    if (drag?.part !== "new") return super.end(now);
    this.drag = null;
    this.add({ start: drag.time, end: drag.time });
  }

  add({ start, label = null }) {
    super.add({ start, end: start, label });
  }

  dropped({ before }) {
    const point = this.draft;
    this.list = before;
    this.commit("moved", [point]);
  }

  moveEdges() {}

  split() {
    return false;
  }

  merge() {
    return false;
  }
}

