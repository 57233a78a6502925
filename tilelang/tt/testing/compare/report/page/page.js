const form = document.getElementById("filters");

// What differs, as the form asks for it.
class Findings {
  constructor(form) {
    this.form = form;
    this.list = document.getElementById("findings");
    this.said = document.getElementById("shown");
    this.items = [...this.list.children];
    this.order = "";
    form.hidden = false;
    form.addEventListener("submit", (event) => event.preventDefault());
    form.addEventListener("input", () => this.show());
    this.show();
  }

  show() {
    const asked = new FormData(this.form);
    const kinds = new Set(asked.getAll("kind"));
    const [text, file, category] = ["text", "file", "category"].map((name) => asked.get(name));
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let tests = 0, all = 0;
    for (const item of this.items) {
      const own = item.dataset;
      const isAskedFor = kinds.has(own.kind) && (!file || file === own.file) && (!category || category === own.category)
        && (!asked.has("breaks") || item.classList.contains("breaks"))
        && words.every((word) => this.text(item).includes(word));
      item.hidden = !isAskedFor;
      all += Number(own.tests);
      if (isAskedFor) tests += Number(own.tests);
    }
    this.said.textContent = tests === all ? `All ${all} tests are shown.` : `${tests} of ${all} tests are shown.`;
    this.sort(asked.get("order"));
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
