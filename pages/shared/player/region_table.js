// The regions in a table below the lanes: what is known of each, its sound once or over and over, and its file.

class RegionTable {
  // `hear(place, loop)` is called for a row.
  constructor(element, hear) {
    Object.assign(this, { element, hear, shown: "null", rows: [] });
  }

  set(table) {
    const wish = JSON.stringify(table);
    if (wish === this.shown) return;
    this.shown = wish;
    this.element.hidden = !table?.rows.length;
    this.rows = this.element.hidden ? [] : table.rows.map((row, place) => this.row(row, place));
    if (this.element.hidden) return this.element.replaceChildren();
    const head = document.createElement("tr");
    head.append(cell("th", ""), ...table.columns.map(({ title, means }) => Object.assign(cell("th", title), { title: means, scope: "col" })), cell("th", ""));
    const body = document.createElement("tbody");
    body.append(...this.rows);
    const whole = document.createElement("table");
    whole.append(document.createElement("thead"), body);
    whole.tHead.append(head);
    this.element.replaceChildren(whole);
  }

  row({ cells, file, url }, place) {
    const row = document.createElement("tr");
    const deeds = document.createElement("td");
    deeds.append(this.button("play", `Play region ${place + 1}`, place, false), this.button("loop", `Loop region ${place + 1}`, place, true));
    const link = Object.assign(document.createElement("a"), { href: url, download: file, title: "Download as WAV", innerHTML: icon("file") });
    link.setAttribute("aria-label", `Download region ${place + 1} as WAV`);
    const last = document.createElement("td");
    last.append(link);
    row.append(deeds, ...cells.map((text) => cell("td", text)), last);
    return row;
  }

  button(name, words, place, loop) {
    const button = Object.assign(document.createElement("button"), { type: "button", title: words, innerHTML: icon(name) });
    button.setAttribute("aria-label", words);
    button.addEventListener("click", () => this.hear(place, loop));
    return button;
  }

  // Show which regions are being heard.
  markAt(regions, time) {
    this.rows.forEach((row, place) => {
      const { start, end } = regions[place] ?? {};
      row.classList.toggle("heard", time !== null && time >= start && time < end);
    });
  }
}

const cell = (tag, text) => Object.assign(document.createElement(tag), { textContent: text });
