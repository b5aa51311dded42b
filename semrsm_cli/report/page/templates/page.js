"use strict";

const COLOURS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141], [39, 173, 129], [92, 200, 99],
  [170, 220, 50], [253, 231, 37]]; // viridis
const ARROWS = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};

const dataOf = (element) => JSON.parse(element.querySelector('script[type="application/json"]').textContent);
const clamp = (value, most) => Math.max(0, Math.min(most, value));

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

function option(text, value) {
  return make("option", {textContent: text, value: value});
}

/* Tables: buttons in the heads sort, choices above filter. */

function sortBy(table, place) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const head = heads[place];
  const direction = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const isNumber = head.classList.contains("number");
  const keyed = [...table.tBodies[0].rows].map((row) => {
    const text = row.cells[place].dataset.order;
    return {row, text, value: isNumber ? parseFloat(text) : text};
  });
  const compare = isNumber ? (a, b) => a.value - b.value : (a, b) => a.value.localeCompare(b.value, "en", {numeric: true});
  keyed.sort((a, b) => {
    if (!a.text || !b.text) return (a.text ? 0 : 1) - (b.text ? 0 : 1); // what is lacking comes last either way
    return direction === "ascending" ? compare(a, b) : compare(b, a);
  });
  heads.forEach((other) => other.setAttribute("aria-sort", other === head ? direction : "none"));
  table.tBodies[0].append(...keyed.map((one) => one.row));
}

function filterRows(element) {
  const chosen = [...element.querySelectorAll("select")].filter((select) => select.value);
  const rows = [...element.querySelector("tbody").rows];
  for (const row of rows) {
    row.hidden = chosen.some((select) => row.cells[select.dataset.column].textContent !== select.value);
  }
  element.querySelector("output").textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length} rows`;
}

for (const element of document.querySelectorAll(".table")) {
  const table = element.querySelector("table");
  table.tHead.addEventListener("click", (event) => {
    const head = event.target.closest("th[aria-sort]");
    if (head) sortBy(table, head.cellIndex);
  });
  const filters = element.querySelector(".filters");
  if (filters) {
    filters.hidden = false;
    filters.addEventListener("change", () => filterRows(element));
  }
}

/* Heat maps. */

function colourAt(share) {
  const at = clamp(share, 1) * (COLOURS.length - 1);
  const below = Math.min(Math.floor(at), COLOURS.length - 2);
  return COLOURS[below].map((value, i) => Math.round(value + (at - below) * (COLOURS[below + 1][i] - value)));
}

class HeatMap {
  constructor(element) {
    Object.assign(this, {element, data: dataOf(element), row: 0, column: 0});
    this.canvas = element.querySelector("canvas");
    this.select = element.querySelector("select");
    this.select.append(...this.data.choices.map((choice, i) => option(choice.name, i)));
    element.querySelector(".filters").hidden = this.data.choices.length < 2;
    this.select.addEventListener("change", () => this.draw());
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (event) => this.point(event));
    this.canvas.addEventListener("focus", () => this.tell());
    this.canvas.addEventListener("keydown", (event) => this.step(event));
    this.draw();
  }

  get choice() {
    return this.data.choices[this.select.selectedIndex];
  }

  get rows() {
    return this.choice.row_names ?? this.data.row_names;
  }

  get columns() {
    return this.choice.column_names ?? this.data.column_names;
  }

  get size() {
    return Math.max(1, Math.floor(640 / Math.max(this.rows.length, this.columns.length)));
  }

  shareOf(value) {
    const {low, high} = this.choice;
    return this.data.is_logarithmic ? Math.log(value / low) / Math.log(high / low) : (value - low) / (high - low);
  }

  draw(marked = false) {
    const {values, low, high} = this.choice;
    const shown = this.data.is_logarithmic ? String : (value) => value.toFixed(2).replace("-", "\u2212");
    const size = this.size;
    this.canvas.height = size * this.rows.length;
    this.canvas.width = size * this.columns.length;
    const context = this.canvas.getContext("2d");
    values.forEach((row, i) => row.forEach((value, j) => {
      if (value === null) return;
      context.fillStyle = `rgb(${colourAt(this.shareOf(value))})`;
      context.fillRect(j * size, i * size, size, size);
    }));
    if (marked) {
      const width = Math.max(2, size / 8);
      for (const [colour, inset] of [["#000", 0], ["#fff", width]]) {
        Object.assign(context, {strokeStyle: colour, lineWidth: width});
        const at = inset + width / 2;
        context.strokeRect(this.column * size + at, this.row * size + at, size - 2 * at, size - 2 * at);
      }
    }
    const [top, bar, bottom] = this.element.querySelector(".scale").children;
    top.textContent = shown(high);
    bottom.textContent = shown(low);
    bar.style.background = `linear-gradient(to top, ${COLOURS.map((colour) => `rgb(${colour})`).join(", ")})`;
  }

  point(event) {
    const box = this.canvas.getBoundingClientRect();
    this.row = clamp(Math.floor((event.clientY - box.top) / box.height * this.rows.length), this.rows.length - 1);
    this.column = clamp(Math.floor((event.clientX - box.left) / box.width * this.columns.length), this.columns.length - 1);
    this.tell();
  }

  step(event) {
    const move = ARROWS[event.key];
    if (!move) return;
    event.preventDefault();
    this.row = clamp(this.row + move[0], this.rows.length - 1);
    this.column = clamp(this.column + move[1], this.columns.length - 1);
    this.tell();
  }

  tell() {
    this.row = clamp(this.row, this.rows.length - 1);
    this.column = clamp(this.column, this.columns.length - 1);
    this.draw(true);
    const value = this.choice.values[this.row][this.column];
    const {rows, columns} = this;
    const {row_title, column_title, value_title, pictures} = this.data;
    this.element.querySelector("output").textContent = `${row_title} ${rows[this.row]}, ${column_title} ${columns[this.column]}: `
      + (value === null ? `no ${value_title}` : `${value_title} ${this.data.is_logarithmic ? value : value.toFixed(3)}`);
    if (pictures.length) {
      const shown = [pictures[this.row], pictures[this.column]].map((src) => make("img", {src, alt: ""}));
      this.element.querySelector(".pair").replaceChildren(...shown);
    }
  }
}

document.querySelectorAll(".heat").forEach((element) => new HeatMap(element));

/* Galleries: a query, its neighbours, and what was matched to the patch under the pointer. */

class Gallery {
  constructor(element) {
    Object.assign(this, {element, data: dataOf(element), patch: 0});
    const buttons = this.data.queries.map((query, i) => {
      const picture = this.data.pictures[query.picture];
      const button = make("button", {type: "button"}, make("img", {src: picture.src, alt: `query ${i + 1}: ${picture.shows || picture.name}`}));
      button.addEventListener("click", () => this.choose(i));
      return button;
    });
    element.querySelector(".queries").append(...buttons);
    const lists = this.data.queries[0].lists;
    this.kernel = this.selectOf("kernel", [...new Set(lists.map((list) => list.kernel))]);
    this.invariance = this.selectOf("compared", ["all ways", ...new Set(lists.map((list) => list.invariance))]);
    this.choose(0);
  }

  selectOf(name, values) {
    const select = make("select", {}, ...values.map((value) => option(value, value)));
    select.addEventListener("change", () => this.draw());
    this.element.querySelector(".filters").append(make("label", {}, `${name} `, select));
    return select;
  }

  choose(i) {
    this.query = this.data.queries[i];
    this.element.querySelectorAll(".queries button").forEach((button, j) => button.setAttribute("aria-pressed", j === i));
    this.draw();
  }

  draw() {
    const lists = this.query.lists.filter((list) => list.kernel === this.kernel.value
      && (this.invariance.selectedIndex === 0 || list.invariance === this.invariance.value));
    this.boxes = [];
    this.grid = lists.flatMap((list) => list.neighbours).map((one) => one.grid).find(Boolean);
    const shown = this.data.pictures[this.query.picture];
    const seen = this.seen(shown, null);
    const query = make("div", {className: "query"}, seen, make("p", {textContent: `query: ${shown.shows || shown.name}`}));
    if (this.grid) {
      Object.assign(seen, {tabIndex: 0});
      seen.setAttribute("role", "img");
      seen.setAttribute("aria-label", "The query. The arrow keys move over its patches.");
      seen.addEventListener("pointermove", (event) => this.point(event, seen));
      seen.addEventListener("pointerdown", (event) => this.point(event, seen));
      seen.addEventListener("keydown", (event) => this.step(event));
      seen.addEventListener("focus", () => this.mark());
    }
    const rows = lists.map((list) => make("div", {className: "found"}, make("p", {textContent: list.invariance}),
      ...list.neighbours.map((one, i) => this.neighbour(one, i))));
    this.element.querySelector(".shown").replaceChildren(query, ...rows);
    const first = lists.map((list) => `${list.invariance}: ${list.neighbours.map((one) => one.score ?? one.similarity).join(", ")}`);
    this.element.querySelector("output").textContent = `Neighbours from the nearest on, ${first.join("; ")}.`;
  }

  seen(picture, patches) {
    const box = make("i");
    this.boxes.push({box, patches});
    return make("div", {className: "seen"}, make("img", {src: picture.src, alt: patches ? picture.name : ""}), box);
  }

  neighbour(one, i) {
    const picture = this.data.pictures[one.picture];
    const numbers = [one.score === undefined ? "" : `score ${one.score.toFixed(2)}`,
      one.similarity === undefined ? "" : `similarity ${one.similarity.toFixed(3)}`].filter(Boolean).join(", ");
    return make("div", {className: "neighbour"}, this.seen(picture, one.patches ?? []),
      make("p", {}, make("b", {textContent: `${i + 1}. ${numbers}`}), make("br"), picture.shows || picture.name));
  }

  point(event, seen) {
    const box = seen.getBoundingClientRect();
    const [height, width] = this.grid;
    const row = clamp(Math.floor((event.clientY - box.top) / box.height * height), height - 1);
    this.patch = row * width + clamp(Math.floor((event.clientX - box.left) / box.width * width), width - 1);
    this.mark();
  }

  step(event) {
    const move = ARROWS[event.key];
    if (!move) return;
    event.preventDefault();
    const [height, width] = this.grid;
    const row = clamp(Math.floor(this.patch / width) + move[0], height - 1);
    this.patch = row * width + clamp(this.patch % width + move[1], width - 1);
    this.mark();
  }

  mark() {
    const [height, width] = this.grid;
    let n = 0;
    for (const {box, patches} of this.boxes) {
      const patch = patches === null ? this.patch : patches[this.patch] ?? -1;
      box.style.display = patch < 0 ? "none" : "block";
      if (patch < 0) continue;
      n += patches === null ? 0 : 1;
      Object.assign(box.style, {left: `${100 * (patch % width) / width}%`, top: `${100 * Math.floor(patch / width) / height}%`,
        width: `${100 / width}%`, height: `${100 / height}%`});
    }
    this.element.querySelector("output").textContent = `Patch ${this.patch + 1} of ${height * width}: its partners are framed in ${n} neighbours.`;
  }
}

document.querySelectorAll(".gallery").forEach((element) => new Gallery(element));
