const form = document.getElementById("filters");
const STEP = 500; // findings that a browser lays out at once

// What differs, as the form asks for it.
class Findings {
  constructor(form) {
    this.form = form;
    this.list = document.getElementById("findings");
    this.said = document.getElementById("shown");
    this.items = [...this.list.children];
    this.more = document.getElementById("more");
    this.order = "";
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    for (const change of ["input", "change"]) form.addEventListener(change, () => this.show(STEP));
    this.more.addEventListener("click", () => this.show(this.most + STEP));
    this.show(STEP);
  }

  // As many as fit and are asked for.
  show(most) {
    this.most = most;
    const asked = new FormData(this.form);
    const kinds = new Set(asked.getAll("kind"));
    const [text, file, category] = ["text", "file", "category"].map((name) => asked.get(name));
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let tests = 0, all = 0, found = 0;
    this.sort(asked.get("order"));
    for (const item of this.list.children) {
      const own = item.dataset;
      const isAskedFor = kinds.has(own.kind) && (!file || file === own.file) && (!category || category === own.category)
        && (!asked.has("breaks") || item.classList.contains("breaks"))
        && words.every((word) => this.text(item).includes(word));
      if (isAskedFor) found += 1;
      item.hidden = !isAskedFor || found > most;
      all += Number(own.tests);
      if (!item.hidden) tests += Number(own.tests);
    }
    this.said.textContent = tests === all ? `All ${all} tests are shown.` : `${tests} of ${all} tests are shown.`;
    this.more.hidden = found <= most;
    this.more.textContent = `Show ${Math.min(STEP, found - most)} more`;
  }

  // Of an item, once anybody has asked for it.
  text(item) {
    return item.searched ??= item.textContent.toLowerCase();
  }

  sort(order) {
    if (order === this.order) return;
    this.order = order;
    const key = {
      test: (item) => item.querySelector(".test").textContent,
      category: (item) => item.dataset.category,
    }[order];
    const sorted = key ? this.items.map((item) => [key(item), item]).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0)
      .map(([, item]) => item) : this.items;
    this.list.append(...sorted);
  }
}

if (form) new Findings(form);
