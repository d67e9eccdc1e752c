// Entry point, which Streamlit calls at every script run; the drawn state is kept on the host.
export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  const state = (host.state ??= begin(host));
  const packet = unpack(data);
  state.ask = (place) => setTriggerValue("asked", place);
  if (packet.stamp !== state.stamp) {
    state.stamp = packet.stamp;
    show(state, viewOf(packet));
  }
  return () => setTimeout(() => { if (!host.isConnected) state.watcher.disconnect(); });
}

function viewOf({ facts, arrays }) {
  const per = arrays.weight?.shape[1] ?? 0, { groups, connections } = facts.settings;
  const own = (channel) => (facts.scope === "channel" ? 0 : channel);
  // Of layers sent by channel, convolutions come with their group's maps, others with one or with all maps.
  const first = facts.scope === "channel" && groups && !connections ? Math.floor(facts.channel / (facts.outputShape[0] / groups)) * per : 0;
  const sentAt = (channel) => Math.min(channel - first, arrays.input.shape[0] - 1);
  return { ...facts, arrays, own, sentAt, outputIsOwn: facts.scope !== "layer", thumbs: new Map(),
    limits: { values: largest(Array.from((arrays.input ?? arrays.input1 ?? arrays.output).values)) } };
}

function begin(host) {
  const side = element("div", "side"), work = element("div", "work");
  const head = element("div", "head"), caption = element("span", "caption");
  const [before, after] = [["‹", "Map before"], ["›", "Map after"]].map(([text, label]) => element("button", "step", text, { type: "button", "aria-label": label, title: label }));
  head.append(before, caption, after);
  const sheet = element("div", "map"), map = element("canvas", "", null, { tabindex: 0, role: "application", "aria-roledescription": "output map" });
  const mark = element("div", "mark");
  sheet.append(map, mark);
  const readout = element("output", "readout", "", { "aria-live": "polite" }), note = element("p", "note");
  side.append(head, sheet, readout, note);
  const paper = element("canvas", "paper", null, { role: "img" });
  const bar = element("div", "bar");
  const more = element("button", "more", "more", { type: "button" });
  bar.append(more);
  work.append(bar, paper);
  host.append(side, work);
  const state = { host, side, work, map, mark, caption, before, after, readout, note, paper, bar, more, place: null };
  state.watcher = new ResizeObserver(() => {
    const room = `${work.clientWidth} ${side.clientWidth}`;
    if (state.view && room !== state.room) { state.room = room; draw(state); }
  });
  state.watcher.observe(host);
  onTheme(host, () => { if (state.view) draw(state); });
  listen(state);
  return state;
}

function listen(state) {
  const { map } = state;
  const follow = (event) => {
    const place = placeAt(state, event.offsetX, event.offsetY);
    if (place) point(state, place);
  };
  map.addEventListener("pointermove", follow);
  map.addEventListener("pointerdown", (event) => {
    follow(event);
    if (state.view.scope !== "layer" && !state.worked) state.ask(state.place);
  });
  map.addEventListener("keydown", (event) => walk(state, event));
  state.before.onclick = () => turn(state, -1);
  state.after.onclick = () => turn(state, 1);
  state.more.onclick = () => { state.view.more = !state.view.more; point(state, state.place); };
  figureMenu(state.bar, [["Download as PNG", () => savePng(state.paper, state.view.name)]]);
}

function walk(state, event) {
  if (event.key === "PageDown" || event.key === "PageUp") { event.preventDefault(); return turn(state, event.key === "PageDown" ? 1 : -1); }
  if (event.key === "Enter" && !state.worked) return state.ask(state.place);
  const by = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  if (!by) return undefined;
  event.preventDefault();
  const [row, column] = onGrid(state, state.place);
  const place = placeAt(state, (column + by[1] + 0.5) * state.zoom, (row + by[0] + 0.5) * state.zoom);
  return place && point(state, place);
}

// Select the previous or next map; a map that the browser lacks is requested.
function turn(state, by) {
  const { view } = state, channel = state.place[0] + by;
  if (channel < 0 || channel >= view.outputShape[0]) return;
  const place = [channel, state.place[1], state.place[2]];
  if (view.outputIsOwn) { state.ask(place); return; }
  view.channel = channel;
  drawOutput(state);
  point(state, place);
}

function show(state, view) {
  state.view = view;
  state.grid = gridOf(view);
  state.place = firstCell(view);
  state.note.textContent = view.note;
  state.note.hidden = !view.note;
  draw(state);
}

function draw(state) {
  if (!state.work.clientWidth) return;
  state.table = state.view.arrays[isDark(state.host) ? "dark" : "light"].values;
  state.view.thumbs.clear();
  drawOutput(state);
  point(state, state.place);
  state.host.dataset.drawn = Number(state.host.dataset.drawn ?? 0) + 1;
}

function point(state, place) {
  const { view, grid, zoom } = state, [row, column] = onGrid(state, place);
  state.place = place;
  Object.assign(state.mark.style, { left: `${column * zoom}px`, top: `${row * zoom}px`, width: `${zoom}px`, height: `${zoom}px` });
  const named = view.units[place[0]] ? ` (${view.units[place[0]]})` : "";
  state.caption.textContent = grid.units ? `unit ${place[0]}${named}` : `map ${place[0]} of ${view.outputShape[0]}`;
  state.before.disabled = place[0] === 0;
  state.after.disabled = place[0] === view.outputShape[0] - 1;
  state.worked = workingOf(view, ...place);
  const { shape: [, height, width], values } = view.arrays.output;
  const value = state.worked?.actual ?? values[(view.outputIsOwn ? 0 : place[0] * height * width) + place[1] * width + place[2]];
  const where = grid.units ? state.caption.textContent : `y ${place[1]}, x ${place[2]}`;
  state.readout.textContent = `${where}: ${plainly(value)}${state.worked ? "" : " · click to see how it came about"}`;
  state.map.setAttribute("aria-label", `Output of ${view.layer}. The arrow keys go from cell to cell, page up and down from map to map.`);
  work(state);
}

function work(state) {
  const { view, worked, paper, host } = state;
  paper.hidden = !worked;
  if (!worked) return;
  const width = Math.min(state.work.clientWidth, 1000), plan = planOf(view, worked, width);
  state.more.hidden = !view.more && plan.shown === plan.all;
  state.more.textContent = view.more ? "fewer rows" : "more rows";
  const ink = inkOf(sized(paper, width, heightOf(view, worked, plan)), host, state.table);
  drawSheet(ink, view, worked, width);
  const told = worked.steps.map((step) => `${step.label} ${plainly(step.value)}`).join(", ");
  paper.setAttribute("aria-label", [`${worked.formula}. ${told}.`, leftOutWords(view, worked), worked.note].filter(Boolean).join(" "));
  host.dataset.worked = JSON.stringify({ place: state.place, result: worked.result, actual: worked.actual, inputs: worked.inputs });
}
