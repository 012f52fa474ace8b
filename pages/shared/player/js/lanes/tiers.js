// The tiers below the regions: a row for each, whose marks are drawn, moved, named, split, merged and deleted as regions
// are. A click plays a mark; until something else is selected, keys are for its tier and its labels are on the digits.

import { WAVE } from "../pictures.js";
import { Regions } from "../regions.js";
import { t } from "../../../language/language.js";

const ROW = 22;
// Width of a point, and of one with room for the beginning of its label.
const LEAST = 4;
const LEAST_NAMED = 26;
// What is selected and played of a point, in seconds to either side.
const AROUND = 0.15;

export class Tiers {
  constructor(player) {
    Object.assign(this, { player, rows: [], chosen: null });
  }

  // Follow the data from Python. A tier keeps its row as long as it is there.
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

  // Keys are for this row from now on, even if none of its marks is selected.
  enter(row) {
    if (this.chosen === row) return;
    this.player.chooseNone();
    this.chosen = row;
  }

  choose(row, mark) {
    this.enter(row);
    this.player.playTier(row.stretchOf(mark));
  }

  chooseNone() {
    this.chosen?.chooseNone();
    this.chosen = null;
  }

  edited(row, edit, words) {
    this.chosen = row;
    this.player.tierEdited({ ...edit, tier: row.tier.key }, `${row.tier.name}: ${words}`);
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

  name(index) {
    return this.shownLabel(this.list[index].label) || "∅";
  }

  colourOf({ label }) {
    return this.colours?.get(label) ?? this.tier.colour ?? WAVE;
  }

  // What was drawn in a tier of free text is named at once.
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
    return { start: Math.max(0, start - AROUND), end: Math.min(this.axis.duration, start + AROUND) };
  }

  countRows() {
    return 1;
  }

  // A label ends where the next point stands.
  layOut() {
    super.layOut();
    const at = this.list.map(({ start }) => this.axis.x(start));
    this.buttons.forEach(({ classList, style }, index) => {
      const room = Math.max(LEAST, (at[index + 1] ?? Infinity) - at[index]);
      classList.toggle("narrow", room < LEAST_NAMED);
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

