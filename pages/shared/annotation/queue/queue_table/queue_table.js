// A table of recordings. A row keeps its element while its recording is shown, so that a click during a rerun is not lost.

import { decimal } from "../../../language/language.js";

const tables = new WeakMap();
const STEPS = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

export default function mount({ parentElement, data, setTriggerValue }) {
  const known = tables.get(parentElement);
  const table = known ?? new Table(parentElement.querySelector(".queue"));
  tables.set(parentElement, table);
  table.update(data, (id) => setTriggerValue("opened", id));
  // After coming back from a recording, arrow keys go on from its row.
  if (!known && data.current && !document.activeElement?.matches("input, textarea")) table.focus();
}

class Table {
  constructor(element) {
    this.element = element;
    this.rows = new Map();
    this.table = document.createElement("table");
    this.table.append(document.createElement("thead"), document.createElement("tbody"));
    element.append(this.table);
    this.body.addEventListener("click", ({ target }) => this.open(target.closest("tr")));
    this.body.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("focusin", ({ target }) => this.markStop(target.closest("tr")));
  }

  get body() {
    return this.table.tBodies[0];
  }

  update({ columns, rows, current }, send) {
    this.send = send;
    const head = JSON.stringify(columns);
    if (head !== this.head) {
      this.head = head;
      this.rows.clear(); // rows are made again for the new columns
      this.table.tHead.replaceChildren(headOf(columns));
    }
    const before = this.rows;
    this.rows = new Map(rows.map((row) => [row.id, withCells(before.get(row.id) ?? rowOf(row.id), row.cells, columns)]));
    const all = [...this.rows.values()];
    if (all.length !== this.body.children.length || all.some((row, index) => row !== this.body.children[index])) {
      this.body.replaceChildren(...all);
    }
    for (const [id, row] of this.rows) {
      if (id === current) row.setAttribute("aria-current", "true");
      else row.removeAttribute("aria-current");
    }
    const stop = all.find((row) => row.dataset.stop) ?? this.rows.get(current) ?? all[0];
    if (stop) this.markStop(stop);
  }

  // The Tab key stops at one row; arrow keys go on from there.
  markStop(stop) {
    for (const row of this.rows.values()) {
      row.querySelector("button").tabIndex = row === stop ? 0 : -1;
      if (row === stop) row.dataset.stop = "yes";
      else delete row.dataset.stop;
    }
  }

  focus() {
    this.body.querySelector("[data-stop] button")?.focus({ preventScroll: true });
  }

  // Ignores the second click of a double click.
  open(row) {
    if (!row || row === this.opening) return;
    this.opening = row;
    setTimeout(() => { this.opening = null; }, 500);
    row.classList.add("opening");
    setTimeout(() => row.classList.remove("opening"), 2000);
    this.send(row.dataset.id);
  }

  key(event) {
    const step = STEPS[event.key];
    if (!step || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    const rows = [...this.rows.values()];
    const focused = rows.indexOf(event.target.closest("tr"));
    const row = rows[Math.min(Math.max(focused + step, 0), rows.length - 1)];
    row.querySelector("button").focus();
    row.scrollIntoView({ block: "nearest" });
  }
}

function headOf(columns) {
  const row = document.createElement("tr");
  for (const { title, help, kind } of columns) {
    row.append(Object.assign(document.createElement("th"), { scope: "col", textContent: title, title: help, className: kind }));
  }
  return row;
}

function rowOf(id) {
  const row = document.createElement("tr");
  row.dataset.id = id;
  return row;
}

function withCells(row, cells, columns) {
  const content = JSON.stringify(cells);
  if (row.content === content) return row;
  row.content = content;
  const focused = row.contains(row.getRootNode().activeElement);
  row.replaceChildren(...cells.map((value, index) => (index ? cellOf(value, columns[index].kind) : nameOf(value))));
  if (focused) row.querySelector("button").focus();
  return row;
}

function nameOf(name) {
  const cell = Object.assign(document.createElement("th"), { scope: "row" });
  cell.append(Object.assign(document.createElement("button"), { type: "button", textContent: name }));
  return cell;
}

function cellOf(value, kind) {
  const cell = Object.assign(document.createElement("td"), { className: kind });
  if (value === null) return cell;
  cell.textContent = kind === "share" ? decimal(value, 2) : value;
  if (kind === "share") cell.style.setProperty("--share", `${100 * Math.min(1, Math.max(0, value))}%`);
  return cell;
}
