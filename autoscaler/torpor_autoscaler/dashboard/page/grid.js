// The fleet as a grid of tiles, of which only those in sight are in the document: ten thousand
// databases cost as much as fifty. One tile can be reached by Tab, the others by the arrow keys.

import { glyph, make, one, setText } from "./dom.js";
import { fact, isAwake, spoken } from "./words.js";

const TILE_WIDTH_MIN = 162;
const ROW_HEIGHT = 76;
/** Rows beyond the window, above and below: a flick of the thumb finds them drawn. */
const ROWS_BEYOND = 8;

const SIDE_MIN = 24;
const SIDE_MAX = 46;

/** A gem's side: one step for each doubling of the CU, and smallest where it sleeps. */
export function side(row) {
  if (!isAwake(row)) return SIDE_MIN;
  const steps = Math.log2(Math.max(row.cu, 0.25) / 0.25);
  return Math.min(SIDE_MAX, Math.round(SIDE_MIN + 2 + 4 * steps));
}

export class Grid {
  #element;
  #rows = [];
  #indexes = new Map();
  #order = "wakes";
  #columns = 1;
  #drawn = new Map();
  #active = "";
  #frame = 0;

  constructor(element) {
    this.#element = element;
    const later = () => {
      this.#frame ||= requestAnimationFrame(() => this.#draw());
    };
    addEventListener("scroll", later, { passive: true });
    new ResizeObserver(() => this.#measure()).observe(element);
    element.addEventListener("keydown", (event) => this.#moved(event));
    element.addEventListener("focusin", (event) => {
      const name = this.nameOf(event.target);
      if (name) this.#activate(name);
    });
  }

  /** The name of the database whose tile an element is in. */
  nameOf(element) {
    return element.closest?.("[role=gridcell]")?.dataset.name;
  }

  tileOf(name) {
    return one(`[data-name="${CSS.escape(name)}"]`, this.#element);
  }

  get hasFocus() {
    return this.#element.contains(document.activeElement);
  }

  show(rows, order) {
    const hadFocus = this.hasFocus;
    this.#rows = rows;
    this.#order = order;
    this.#indexes = new Map(rows.map((row, index) => [row.name, index]));
    if (!this.#indexes.has(this.#active)) this.#active = rows[0]?.name ?? "";
    this.#layOut();
    if (hadFocus) this.tileOf(this.#active)?.focus({ preventScroll: true });
  }

  /** Rows that have changed and keep their places. */
  refresh(get) {
    this.#rows = this.#rows.map((row) => get(row.name) ?? row);
    this.#draw();
  }

  focus(name = this.#active) {
    this.#activate(name);
    const tile = this.tileOf(name);
    tile?.focus({ preventScroll: true });
    tile?.scrollIntoView({ block: "nearest" });
  }

  #measure() {
    const columns = Math.max(1, Math.floor(this.#element.clientWidth / TILE_WIDTH_MIN));
    if (columns !== this.#columns) {
      this.#columns = columns;
      this.#clear();
    }
    this.#layOut();
  }

  #layOut() {
    const lines = Math.ceil(this.#rows.length / this.#columns);
    this.#element.style.setProperty("height", `${lines * ROW_HEIGHT}px`);
    this.#element.style.setProperty("--columns", this.#columns);
    this.#element.setAttribute("aria-rowcount", lines);
    this.#element.setAttribute("aria-colcount", this.#columns);
    this.#draw();
  }

  #clear() {
    this.#drawn.forEach((line) => line.remove());
    this.#drawn.clear();
  }

  #draw() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    const top = this.#element.getBoundingClientRect().top;
    const first = Math.floor(-top / ROW_HEIGHT) - ROWS_BEYOND;
    const last = Math.ceil((innerHeight - top) / ROW_HEIGHT) + ROWS_BEYOND;
    const wanted = new Set();
    const lines = Math.ceil(this.#rows.length / this.#columns);
    for (let line = Math.max(0, first); line < Math.min(lines, last); line++) wanted.add(line);
    // The one that has the focus stays, wherever the window is.
    if (this.#indexes.has(this.#active)) wanted.add(this.#lineOf(this.#active));
    for (const [line, element] of this.#drawn) {
      if (wanted.has(line)) continue;
      element.remove();
      this.#drawn.delete(line);
    }
    for (const line of [...wanted].sort((a, b) => a - b)) this.#drawLine(line);
  }

  #lineOf(name) {
    return Math.floor(this.#indexes.get(name) / this.#columns);
  }

  #drawLine(line) {
    let element = this.#drawn.get(line);
    if (!element) {
      element = make("div", { role: "row", "aria-rowindex": line + 1 });
      element.style.setProperty("transform", `translateY(${line * ROW_HEIGHT}px)`);
      this.#drawn.set(line, element);
      // In the order in which they are read.
      const next = [...this.#drawn.keys()].filter((key) => key > line).sort((a, b) => a - b)[0];
      this.#element.insertBefore(element, this.#drawn.get(next) ?? null);
    }
    const begin = line * this.#columns;
    const rows = this.#rows.slice(begin, begin + this.#columns);
    while (element.children.length > rows.length) element.lastChild.remove();
    rows.forEach((row, column) => {
      if (!element.children[column]) element.append(newTile(column));
      this.#fill(element.children[column], row);
    });
  }

  #fill(tile, row) {
    tile.tabIndex = row.name === this.#active ? 0 : -1;
    if (tile.row === row && tile.order === this.#order) return;
    tile.row = row;
    tile.order = this.#order;
    if (tile.dataset.name !== row.name) {
      tile.dataset.name = row.name;
      setText(tile.children[1], row.name);
    }
    if (tile.dataset.phase !== row.phase) {
      tile.dataset.phase = row.phase;
      one("use", tile).setAttribute("href", `#glyph-${row.phase}`);
    }
    tile.style.setProperty("--side", `${side(row)}px`);
    setText(tile.children[2], fact(row, this.#order));
    tile.setAttribute("aria-label", spoken(row));
  }

  #activate(name) {
    if (name === this.#active || !this.#indexes.has(name)) return;
    const before = this.tileOf(this.#active);
    if (before) before.tabIndex = -1;
    this.#active = name;
    this.#draw();
  }

  #moved(event) {
    const index = this.#indexes.get(this.#active);
    if (index === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(innerHeight / ROW_HEIGHT) - 3) * this.#columns;
    const to = {
      ArrowRight: index + 1,
      ArrowLeft: index - 1,
      ArrowDown: index + this.#columns,
      ArrowUp: index - this.#columns,
      PageDown: index + page,
      PageUp: index - page,
      Home: 0,
      End: this.#rows.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const far = event.key.startsWith("Page");
    if (!far && (to < 0 || to >= this.#rows.length)) return;
    this.focus(this.#rows[Math.min(Math.max(to, 0), this.#rows.length - 1)].name);
  }
}

function newTile(column) {
  return make(
    "div",
    { role: "gridcell", class: "tile", "aria-colindex": column + 1, tabindex: -1 },
    make("span", { class: "gem", "aria-hidden": "true" }, glyph("Suspended")),
    make("span", { class: "name" }),
    make("span", { class: "fact" }),
  );
}
