// A table in which words are edited in place. Edits are kept, and sent again with the next one, until the server has
// accepted them. A row keeps its element, and so the focus, while figures arrive and rows are reordered.

import { decimal, secondsOf, t, typedTime } from "../../language/language.js";

const tables = new WeakMap();
const FIELDS = ["word", "start", "end"];
const ROWS = { ArrowDown: 1, ArrowUp: -1, Enter: 1 };

export default function mount({ parentElement, data, setStateValue }) {
  const table = tables.get(parentElement) ?? new WordTable(parentElement.querySelector(".words"));
  tables.set(parentElement, table);
  table.update(data, (message) => setStateValue("edited", message));
}

export class WordTable {
  constructor(element) {
    this.id = `${Date.now()} ${Math.random()}`;
    this.number = 0;
    this.added = 0;
    this.pending = false; // whether the server has not answered the last edit yet
    this.rows = [];
    this.elements = new Map();
    this.table = document.createElement("table");
    this.table.append(...["thead", "tbody", "tfoot"].map((name) => document.createElement(name)));
    element.append(this.table);
    const { body } = this;
    body.addEventListener("change", ({ target }) => this.typed(target));
    body.addEventListener("keydown", (event) => this.key(event));
    body.addEventListener("click", ({ target }) => target.closest("button") && this.remove(target.closest("tr").dataset.id));
    this.table.tFoot.addEventListener("click", ({ target }) => target.closest("button") && this.add());
  }

  get body() {
    return this.table.tBodies[0];
  }

  update(data, send) {
    this.send = send;
    const { table, number, refused } = data.answered;
    if (this.pending && table === this.id && number >= this.number) this.pending = refused;
    this.data = data;
    if (!this.pending) {
      const unfinished = this.rows.filter((row) => !isWhole(row));
      this.rows = [...data.rows.map((row) => ({ ...row })), ...unfinished];
      this.seen = data.seen;
    }
    this.draw();
  }

  draw() {
    const { titles, figures, rows } = this.data;
    const heads = JSON.stringify([titles, figures]);
    if (heads !== this.heads) {
      this.heads = heads;
      const columns = [...titles.map((title) => ({ title, means: "" })), ...figures, { title: "", means: "" }];
      const row = document.createElement("tr");
      row.append(...columns.map(({ title, means }) => Object.assign(document.createElement("th"), { scope: "col", textContent: title, title: means })));
      this.table.tHead.replaceChildren(row);
      const cell = Object.assign(document.createElement("td"), { colSpan: columns.length });
      cell.append(Object.assign(document.createElement("button"), { type: "button", textContent: `+ ${t("Add a word")}` }));
      this.table.tFoot.replaceChildren(document.createElement("tr"));
      this.table.tFoot.rows[0].append(cell);
    }
    const cells = new Map(rows.map((row) => [row.id, row.cells]));
    const before = this.elements;
    this.elements = new Map(this.rows.map((row) => [row.id, before.get(row.id) ?? this.rowOf(row.id)]));
    const wanted = [...this.elements.values()];
    const focused = this.table.getRootNode().activeElement;
    if (wanted.length !== this.body.children.length || wanted.some((row, index) => row !== this.body.children[index])) {
      inOrder(this.body, wanted, wanted.find((row) => row.contains(focused)));
    }
    const single = this.rows.filter(isWhole).length < 2;
    for (const row of this.rows) this.fill(row, cells.get(row.id) ?? figures.map(() => null), single, focused);
  }

  rowOf(id) {
    const row = document.createElement("tr");
    row.dataset.id = id;
    for (const name of FIELDS) {
      const input = Object.assign(document.createElement("input"), { name, autocomplete: "off", spellcheck: false });
      row.insertCell().append(input);
    }
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: "×", tabIndex: -1 });
    row.insertCell().append(button);
    return row;
  }

  fill(row, cells, single, focused) {
    const element = this.elements.get(row.id);
    for (const name of FIELDS) {
      const input = element.querySelector(`[name=${name}]`);
      const shown = this.shown(row, name);
      // Keep what is being typed, and what is not a time.
      const kept = (input === focused && input.value !== input.defaultValue) || input.ariaInvalid === "true";
      if (!kept && input.value !== shown) input.value = shown;
      input.defaultValue = shown;
      input.ariaLabel = `${this.data.titles[FIELDS.indexOf(name)]}: ${row.word || t("new word")}`;
    }
    while (element.cells.length > FIELDS.length + cells.length + 1) element.deleteCell(FIELDS.length);
    while (element.cells.length < FIELDS.length + cells.length + 1) element.insertCell(FIELDS.length).className = "figure";
    cells.forEach((value, index) => {
      element.cells[FIELDS.length + index].textContent = value === null ? "" : decimal(Math.round(value * 100) / 100 + 0, 2).replace("-", "−");
    });
    const button = element.querySelector("button");
    button.disabled = single && isWhole(row);
    button.title = button.ariaLabel = t("Delete {name} (Ctrl+Delete)", { name: row.word });
  }

  shown(row, name) {
    if (name === "word" || row[name] === null) return row[name] ?? "";
    return typedTime(row[name], this.data.longest);
  }

  typed(input) {
    const row = this.rows.find(({ id }) => id === input.closest("tr").dataset.id);
    const value = input.name === "word" ? input.value.trim().replace(/\s+/g, " ") : secondsOf(input.value);
    const isValid = input.name === "word" ? value !== "" : !Number.isNaN(value);
    input.ariaInvalid = String(!isValid);
    if (!isValid || input.value === this.shown(row, input.name)) return;
    row[input.name] = value;
    if (isWhole(row)) this.tell();
  }

  tell() {
    this.number = Math.max(Date.now(), this.number + 1);
    this.pending = true;
    const rows = this.rows.filter(isWhole).map(({ id, word, start, end }) => ({ id, word, start, end }));
    this.send({ table: this.id, number: this.number, seen: this.seen, rows });
    this.draw();
  }

  add() {
    const row = { id: `${this.id} ${(this.added += 1)}`, word: "", start: null, end: null };
    this.rows.push(row);
    this.draw();
    this.elements.get(row.id).querySelector("input").focus();
  }

  remove(id) {
    const row = this.rows.find((one) => one.id === id);
    if (this.elements.get(id).querySelector("button").disabled) return;
    const next = this.elements.get(id).nextElementSibling ?? this.elements.get(id).previousElementSibling;
    this.rows = this.rows.filter((one) => one !== row);
    if (isWhole(row)) this.tell();
    else this.draw();
    next?.querySelector("input").focus();
  }

  key(event) {
    const { target: input, key } = event;
    if (!input.matches("input")) return;
    if (key === "Escape") {
      input.value = input.defaultValue;
      input.ariaInvalid = "false";
    } else if (key === "Delete" && event.ctrlKey) {
      event.preventDefault();
      this.remove(input.closest("tr").dataset.id);
    } else if (ROWS[key] && !event.ctrlKey && !event.metaKey && !event.altKey && !event.isComposing) {
      event.preventDefault();
      const all = [...this.body.rows];
      const row = all[all.indexOf(input.closest("tr")) + ROWS[key]];
      const other = row?.querySelector(`[name=${input.name}]`);
      if (other) {
        other.focus();
        other.select();
      } else if (key === "Enter") {
        this.typed(input);
      }
    }
  }
}

// Put rows into a table, around the one that has the focus: it would lose that if it were moved itself.
function inOrder(body, rows, focused) {
  if (!focused) return body.replaceChildren(...rows);
  const gone = [...body.children].filter((row) => !rows.includes(row));
  for (const row of gone) row.remove();
  const at = rows.indexOf(focused);
  focused.before(...rows.slice(0, at));
  focused.after(...rows.slice(at + 1));
}

const isWhole = ({ word, start, end }) => word !== "" && start !== null && end !== null;
