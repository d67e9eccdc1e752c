// Scene: the graph as far as it is open, the viewport, and the focused item. What
// a visitor has opened and the viewport are remembered for each model, also across pages, until the
// browser's tab is closed.

const memory = new Map();

class Scene {
  constructor(root) {
    this.root = root;
    this.svg = root.querySelector(".around > svg");
    this.layer = root.querySelector(".view");
    this.spoken = root.querySelector("[aria-live]");
  }

  size() {
    return { width: this.svg.clientWidth, height: this.svg.clientHeight };
  }

  show(moved) {
    if (!this.memory) this.begin();
    const { selected } = this.data;
    if (moved && selected !== null) this.memory.state = revealRow(this.graph, this.memory.state, selected);
    this.redraw();
    const item = this.itemsOf(selected)[0];
    if (moved && item) {
      this.cursor = item.id;
      const { width, height } = this.size();
      this.setView(showItem(this.memory.view, item, width, height), this.memory.untouched);
    }
    this.markCursor(false);
  }

  begin() {
    const { width, height } = this.size();
    const room = 2 * ZOOM.margin;
    const { state, limit } = firstSight(this.graph, this.data.budget, width - room, height - room);
    this.memory = { state, limit, untouched: true };
    memory.set(`${this.data.place} ${this.data.id}`, this.memory);
    if (memory.size > 40) memory.delete(memory.keys().next().value);
  }

  redraw() {
    this.picture = layoutGraph(this.graph, this.memory.state, this.memory.limit);
    this.memory.view ??= this.startView();
    const focused = this.svg.contains(this.root.activeElement);
    this.layer.replaceChildren(...drawPicture(this.picture, this.data.titles));
    for (const { id } of this.itemsOf(this.data.selected)) {
      const drawn = this.drawn(id);
      drawn.classList.add("selected");
      drawn.setAttribute("aria-pressed", "true");
    }
    this.setView(this.memory.view, this.memory.untouched);
    this.markCursor(focused);
  }

  startView() {
    const { width, height } = this.size();
    return firstView(this.picture, width, height);
  }

  itemsOf(row) {
    const found = row === null ? [] : this.picture.items.filter((item) => item.row === row);
    return found.some((item) => item.type === "node") ? found.filter((item) => item.type === "node") : found;
  }

  drawn(id) {
    return this.layer.querySelector(`[data-item="${id}"]`);
  }

  setView(view, untouched = false) {
    Object.assign(this.memory, { view, untouched });
    this.layer.setAttribute("transform", `translate(${view.x.toFixed(2)} ${view.y.toFixed(2)}) scale(${view.k.toFixed(4)})`);
  }

  // One item at a time can be reached with Tab; the arrow keys move on from there.
  markCursor(focus) {
    if (!this.picture.items.some(({ id }) => id === this.cursor)) this.cursor = this.picture.items[0].id;
    for (const other of this.layer.querySelectorAll('[tabindex="0"]')) other.setAttribute("tabindex", "-1");
    const item = this.drawn(this.cursor);
    item.setAttribute("tabindex", "0");
    if (focus) item.focus({ preventScroll: true });
  }

  keepInPlace(id) {
    const before = this.picture.items.find((item) => item.id === id);
    this.redraw();
    const after = this.picture.items.find((item) => item.id === id);
    const { k, x, y } = this.memory.view;
    const { width, height } = this.size();
    const held = { k, x: x + (before.x - after.x) * k, y: y + (before.y - after.y) * k };
    this.setView(filled(held, this.picture, width, height));
    this.markCursor(true);
  }

  say(text) {
    this.spoken.textContent = text;
  }
}
