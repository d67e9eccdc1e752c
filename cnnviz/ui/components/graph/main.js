// Entry point, which Streamlit calls at every rerun with new data, and the event handlers.

const mounted = new WeakMap();

export default function render(component) {
  const { data: [data], parentElement } = component;
  let graphView = mounted.get(parentElement);
  if (!graphView) mounted.set(parentElement, (graphView = new GraphView(parentElement)));
  graphView.update(data, component.setTriggerValue);
}

class GraphView extends Scene {
  constructor(root) {
    super(root);
    this.wasDragged = listenToPointers(this.svg, () => this.memory.view, (view) => this.setView(view));
    this.svg.addEventListener("click", (event) => this.onClick(event));
    this.svg.addEventListener("keydown", (event) => this.onKey(event));
    this.svg.addEventListener("focusin", (event) => {
      this.svg.classList.add("entered");
      this.cursor = event.target.closest("[data-item]")?.dataset.item ?? this.cursor;
    });
    this.svg.addEventListener("focusout", (event) => {
      if (!this.svg.contains(event.relatedTarget)) this.svg.classList.remove("entered");
    });
    root.querySelector(".tools").addEventListener("click", (event) => this.onTool(event.target.closest("button")));
    this.find = root.querySelector(".find");
    this.find.addEventListener("input", () => this.onFind(false));
    this.find.addEventListener("keydown", (event) => { if (event.key === "Enter") this.onFind(true, event.shiftKey); });
    new ResizeObserver(() => this.onResize()).observe(this.svg);
  }

  update(data, send) {
    this.send = send;
    this.root.querySelector(".all").style.height = `${data.height}px`;
    const fresh = data.id !== this.data?.id;
    const moved = fresh || data.selected !== this.data.selected;
    this.data = data;
    if (fresh) {
      this.graph = readGraph(data);
      this.memory = memory.get(`${data.place} ${data.id}`);
      this.svg.setAttribute("aria-label", data.title);
      this.root.querySelector(".legend").replaceChildren(...drawLegend(this.graph, data.titles));
      this.cursor = undefined;
    }
    if (this.size().width) this.show(moved && !(this.own === data.selected && !fresh));
    this.own = undefined;
  }

  onResize() {
    if (this.data && this.size().width && (!this.picture || !this.memory)) this.show(true);
    else if (this.memory?.untouched) this.setView(this.startView(), true);
  }

  onClick(event) {
    const drawn = event.target.closest("[data-item]");
    if (this.wasDragged()) return;
    this.svg.classList.add("entered");
    if (drawn) this.act(drawn.dataset.item, Boolean(event.target.closest("[data-unfold]")));
  }

  act(id, unfold = false) {
    this.cursor = id;
    if (isContainer(id)) this.toggle(numberOf(id), unfold);
    else {
      this.markCursor(true);
      const { row } = this.graph.nodes[numberOf(id)];
      if (row === null) return;
      this.own = row;
      this.send("picked", row);
    }
  }

  // Opening and closing keeps the box under the pointer in place.
  toggle(container, unfold) {
    const { state } = this.memory;
    const open = new Set(state.open);
    const unfolded = new Set(state.unfolded);
    if (unfold) unfolded.add(container);
    else if (!open.delete(container)) open.add(container);
    this.memory.state = { open, unfolded };
    this.say(unfold ? "each block shown" : open.has(container) ? "opened" : "closed");
    this.keepInPlace(`c${container}`);
  }

  onKey(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { key } = event;
    if (key.startsWith("Arrow")) this.moveTo(stepFrom(this.picture, this.cursor, key));
    else if (key === "Enter" || key === " ") this.act(this.cursor);
    else if (key === "*" && isContainer(this.cursor)) this.toggle(numberOf(this.cursor), true);
    else if (key === "+" || key === "=") this.zoom(ZOOM.step);
    else if (key === "-") this.zoom(1 / ZOOM.step);
    else if (key === "0") this.fit();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  moveTo(id) {
    this.cursor = id;
    const { width, height } = this.size();
    const item = this.picture.items.find((other) => other.id === id);
    this.setView(showItem(this.memory.view, item, width, height));
    this.markCursor(true);
  }

  onTool(button) {
    const tools = {
      in: () => this.zoom(ZOOM.step),
      out: () => this.zoom(1 / ZOOM.step),
      fit: () => this.fit(),
      reset: () => this.reset(),
      full: () => this.toggleFullScreen(),
      save: () => this.save(),
    };
    tools[button?.dataset.tool]?.();
  }

  // Typing counts the layers of that name; Enter chooses the next of them, as a click would, and opens what is around it.
  onFind(choose, back = false) {
    const text = this.find.value.trim().toLowerCase();
    const rows = text ? [...new Set(this.graph.nodes.map(({ row }) => row))].filter((row) => row?.toLowerCase().includes(text)) : [];
    this.find.setAttribute("aria-invalid", String(Boolean(text) && !rows.length));
    if (!rows.length) return this.say(text ? "no layer is called so" : "");
    if (!choose) return this.say(`${rows.length} layers; Enter goes to the next`);
    const at = rows.indexOf(this.data.selected);
    const row = rows.at(back ? (at < 0 ? -1 : at - 1) : (at + 1) % rows.length);
    this.say(`${row}, ${rows.indexOf(row) + 1} of ${rows.length}`);
    this.send("picked", row);
  }

  toggleFullScreen() {
    const all = this.root.querySelector(".all");
    if (document.fullscreenElement) document.exitFullscreen();
    else all.requestFullscreen?.();
  }

  zoom(factor) {
    const { width, height } = this.size();
    this.setView(zoomAt(this.memory.view, factor, width / 2, height / 2));
  }

  fit() {
    const { width, height } = this.size();
    this.setView(fitView(this.picture, width, height));
  }

  reset() {
    this.begin();
    this.redraw();
    this.say("as at the start");
  }

  save() {
    offerFile(svgFile(this.svg, this.picture, this.root.querySelector("style").textContent), `${this.data.file}.svg`);
  }
}
