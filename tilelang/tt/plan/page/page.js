// The measure of a figure is one attribute; the style sheet shows what belongs to it.
for (const figure of document.querySelectorAll("[data-measure]")) {
  figure.addEventListener("change", (event) => { figure.dataset.measure = event.target.value; });
}

// Integers of progressions "start,step,count".
function integers(text) {
  return text.split(" ").flatMap((progression) => {
    const [start, step, count] = progression.split(",").map(Number);
    return Array.from({ length: count }, (_, at) => start + step * at);
  });
}

// All that has one key in a group lights up together. A click keeps it, Escape lets it go.
class Link {
  constructor(group) {
    this.group = group;
    this.readout = group.querySelector(".readout");
    this.hint = this.readout.textContent;
    this.kept = false;
    for (const grid of group.querySelectorAll("[role=grid]")) new Cells(this, grid);
    for (const svg of group.querySelectorAll("[data-raster]")) new LaunchGrid(this, svg);
    for (const path of group.querySelectorAll(".pages [data-key]")) {
      path.addEventListener("pointerenter", () => this.point(() => this.show(path.dataset.key)));
      path.addEventListener("pointerleave", () => this.point(() => this.clear()));
    }
    group.addEventListener("click", (event) => { this.kept = event.target.closest("[data-key]") !== null; });
    group.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { this.kept = false; this.clear(); }
    });
  }

  // Does what a pointer asks for, unless something is kept.
  point(action) { if (!this.kept) action(); }

  label(key) {
    return this.group.querySelector(`[role=gridcell][data-key="${key}"]`)?.getAttribute("aria-label") ?? "";
  }

  show(key, text = this.label(key), isNews = false) {
    this.clear();
    this.group.classList.add("linked");
    for (const item of this.group.querySelectorAll(`[data-key="${key}"]`)) item.classList.add("lit");
    // Who focuses a cell hears its label; what is said of a work tile stands in the readout alone.
    this.readout.setAttribute("aria-live", isNews ? "polite" : "off");
    this.readout.textContent = text;
  }

  clear() {
    this.group.classList.remove("linked");
    for (const item of this.group.querySelectorAll(".lit")) item.classList.remove("lit");
    this.readout.textContent = this.hint;
  }
}

// Cells in rows, one of which takes the focus: arrow keys, Home and End move it.
class Cells {
  constructor(link, grid) {
    this.rows = [...grid.querySelectorAll("[role=row]")].map((row) => [...row.querySelectorAll("[role=gridcell]")]);
    this.rows[0][0].setAttribute("tabindex", "0");
    for (const cell of this.rows.flat()) {
      const show = () => cell.dataset.key === undefined
        ? link.show("", cell.getAttribute("aria-label")) : link.show(cell.dataset.key);
      cell.addEventListener("pointerenter", () => link.point(show));
      cell.addEventListener("pointerleave", () => link.point(() => link.clear()));
      cell.addEventListener("focus", () => { link.kept = false; this.hold(cell); show(); });
      cell.addEventListener("blur", () => link.point(() => link.clear()));
    }
    grid.addEventListener("keydown", (event) => this.move(event));
  }

  hold(cell) {
    for (const other of this.rows.flat()) other.setAttribute("tabindex", other === cell ? "0" : "-1");
  }

  move(event) {
    const y = this.rows.findIndex((row) => row.includes(document.activeElement));
    if (y < 0) return;
    const x = this.rows[y].indexOf(document.activeElement);
    const last = this.rows[y].length - 1;
    const to = {
      ArrowLeft: [x - 1, y], ArrowRight: [x + 1, y], ArrowUp: [x, y - 1], ArrowDown: [x, y + 1],
      Home: [0, y], End: [last, y],
    }[event.key];
    if (!to) return;
    event.preventDefault();
    this.rows[to[1]]?.[to[0]]?.focus();
  }
}

// The launch grid: one picture, in which a cursor goes from cell to cell.
class LaunchGrid {
  constructor(link, svg) {
    this.link = link;
    this.svg = svg;
    this.cursor = svg.querySelector(".cursor");
    this.data = JSON.parse(svg.dataset.raster);
    const [columns, lines, , across, wide, high, gap] = this.data.canvas;
    Object.assign(this, { columns, lines, across, wide, high, gap });
    this.owners = integers(this.data.owners);
    this.tiles = this.data.tiles && integers(this.data.tiles);
    this.shares = this.data.shares && integers(this.data.shares);
    this.lookedAt = this.data.lookedAt && integers(this.data.lookedAt);
    this.at = 0;
    svg.addEventListener("pointermove", (event) => link.point(() => this.point(event)));
    svg.addEventListener("pointerleave", () => link.point(() => this.leave()));
    svg.addEventListener("focus", () => { if (svg.matches(":focus-visible")) { link.kept = false; this.show(this.at); } });
    svg.addEventListener("blur", () => link.point(() => this.leave()));
    svg.addEventListener("keydown", (event) => this.move(event));
  }

  // Left and top of a cell.
  place(cell) {
    const column = cell % this.columns, row = Math.floor(cell / this.columns);
    const line = row % this.lines, slice = Math.floor(row / this.lines);
    return [
      slice % this.across * (this.columns * this.wide + this.gap) + column * this.wide + 1,
      Math.floor(slice / this.across) * (this.lines * this.high + this.gap) + line * this.high + 1,
    ];
  }

  point(event) {
    const at = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
    const width = this.columns * this.wide + this.gap, height = this.lines * this.high + this.gap;
    const [u, v] = [Math.floor((at.x - 1) / width), Math.floor((at.y - 1) / height)];
    const column = Math.floor((at.x - 1 - u * width) / this.wide);
    const line = Math.floor((at.y - 1 - v * height) / this.high);
    const cell = ((v * this.across + u) * this.lines + line) * this.columns + column;
    const isInside = u >= 0 && v >= 0 && u < this.across && column >= 0 && line >= 0
      && column < this.columns && line < this.lines && cell < this.owners.length;
    if (isInside) this.show(cell); else this.leave();
  }

  show(cell) {
    this.at = cell;
    const [x, y] = this.place(cell);
    this.cursor.setAttribute("x", x);
    this.cursor.setAttribute("y", y);
    this.cursor.classList.add("shown");
    this.link.show(this.owners[cell], this.describe(cell), true);
  }

  leave() {
    this.cursor.classList.remove("shown");
    this.link.clear();
  }

  describe(cell) {
    const [wide, high] = this.data.cells;
    const index = [cell % wide, Math.floor(cell / wide) % high, Math.floor(cell / (wide * high))];
    const range = index.map((number, axis) => {
      const first = number * this.data.block[axis];
      const last = Math.min(first + this.data.block[axis], this.data.grid[axis]) - 1;
      return `${"xyz"[axis]} ${first === last ? first : `${first} to ${last}`}`;
    }).join(", ");
    const owner = this.owners[cell];
    if (this.tiles) return `work tile ${this.tiles[cell]} at ${range}: ${this.link.label(owner)}`;
    if (owner < 0) return `work tiles at ${range}: no core has half of them`;
    return `work tiles at ${range}: ${this.shares[cell]} of ${this.lookedAt[cell]} on ${this.link.label(owner)}`;
  }

  move(event) {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns }[event.key];
    const to = { Home: 0, End: this.owners.length - 1 }[event.key] ?? this.at + step;
    if (Number.isNaN(to)) return;
    event.preventDefault();
    if (to >= 0 && to < this.owners.length) this.show(to);
  }
}

for (const group of document.querySelectorAll("[data-link]")) new Link(group);
