// The groups of points with their counts; a click hides or shows one.

import { paint } from "./glyphs.js";
import { t } from "../../../language/language.js";

const SIZE = 16;

export class Legend {
  constructor(element, onChange) {
    Object.assign(this, { element, onChange, hidden: new Set() });
    element.addEventListener("click", ({ target }) => this.click(target.closest("button")));
  }

  update(title, groups, outline) {
    const content = JSON.stringify([title, groups, outline]);
    if (content === this.content) return;
    if (title !== this.title) this.hidden.clear();
    Object.assign(this, { content, title, groups });
    this.element.setAttribute("aria-label", t("Shown, by {title}", { title: title.toLowerCase() }));
    this.element.replaceChildren(...groups.map((group, index) => this.button(group, index, outline)), this.all());
    this.mark();
  }

  button(group, index, outline) {
    const button = Object.assign(document.createElement("button"), { type: "button", title: t("Hide or show") });
    button.dataset.index = index;
    const ratio = devicePixelRatio || 1;
    const canvas = Object.assign(document.createElement("canvas"), { width: SIZE * ratio, height: SIZE * ratio });
    paint(canvas.getContext("2d"), group, (SIZE * ratio) / 2, (SIZE * ratio) / 2, 5 * ratio, outline);
    const count = Object.assign(document.createElement("span"), { className: "count", textContent: group.count });
    button.append(canvas, group.name, count);
    return button;
  }

  all() {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: t("Show all") });
    button.className = "all";
    return button;
  }

  click(button) {
    if (!button) return;
    const name = this.groups[button.dataset.index]?.name;
    if (name === undefined) this.hidden.clear();
    else if (!this.hidden.delete(name)) this.hidden.add(name);
    this.mark();
    this.onChange();
  }

  mark() {
    for (const button of this.element.children) {
      const group = this.groups[button.dataset.index];
      if (group) button.setAttribute("aria-pressed", String(!this.hidden.has(group.name)));
      else button.hidden = this.hidden.size === 0;
    }
  }
}
