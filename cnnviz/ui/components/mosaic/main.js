// Entry point, which Streamlit calls at every script run; the drawn state is kept on the host, and a call with the same view
// costs a comparison of two strings.
export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  const state = (host.state ??= begin(host));
  const view = unpack(data);
  state.tell = (channel) => setTriggerValue("selected", channel);
  if (view.stamp !== state.view?.stamp) show(state, view);
  return () => setTimeout(() => { if (!host.isConnected) state.watcher.disconnect(); });
}

function begin(host) {
  const beside = element("div", "beside"), all = element("div", "all");
  host.append(beside, all);
  const legend = legendOf(all);
  const scroll = element("div", "scroll"), sheet = element("div", "sheet");
  const canvas = element("canvas", "mosaic", null, { tabindex: 0, role: "application", "aria-roledescription": "mosaic of maps" });
  const [hovered, chosen] = [element("div", "mark hovered"), element("div", "mark chosen seen")];
  sheet.append(canvas, hovered, chosen);
  scroll.append(sheet);
  all.append(scroll, legend.marks);
  const state = { host, all, canvas, scroll, hovered, chosen, legend, channel: 0, cell: null, ...besideOf(beside) };
  state.watcher = new ResizeObserver(() => {
    const room = `${all.clientWidth} ${state.one.part.clientWidth}`;
    if (state.view && room !== state.room) { state.room = room; draw(state); }
  });
  state.watcher.observe(host);
  onTheme(host, () => { if (state.view) draw(state); });
  listen(state);
  return state;
}

function show(state, view) {
  const { order, picture } = view.arrays, { layer, chosen, alone } = view.facts;
  const another = state.view?.facts.layer !== layer || !order.values.includes(state.channel);
  state.view = view;
  if (another) state.channel = order.values.includes(chosen) ? chosen : order.values[0];
  state.cell = null;
  state.host.classList.toggle("alone", alone);
  state.input.part.hidden = !picture;
  state.picture = picture && asPicture(picture);
  state.canvas.setAttribute("aria-label", `${view.facts.alt} The arrow keys go from map to map.`);
  draw(state);
}

function draw(state) {
  const { view, all } = state;
  if (!all.clientWidth) return;
  const [, height, width] = view.arrays.values.shape, count = view.arrays.order.values.length;
  state.table = view.arrays[isDark(state.host) ? "dark" : "light"].values;
  state.tileOf = tilesOf(view, state.table);
  state.layout = layoutOf(count, height, width, all.clientWidth);
  drawTiles(state.canvas, state.layout, view.arrays.order.values, state.tileOf, view.facts.marks);
  state.side = Math.min(230, state.one.part.clientWidth);
  if (state.picture) drawn(state.input, state.picture, state.side);
  state.input.caption.textContent = view.facts.field.whole ? "Input: every value sees all of it" : "Input";
  state.legend.line.style.maxWidth = `${Math.max(state.layout.width, 460)}px`;
  figureMenu(state.legend.line, [["Download as PNG", () => savePng(state.canvas, view.facts.name)]]);
  showMarks(state.legend, view.facts.marks, count);
  choose(state, state.channel);
  state.host.dataset.drawn = Number(state.host.dataset.drawn ?? 0) + 1;
}

const capital = (word) => word.slice(0, 1).toUpperCase() + word.slice(1);
const placeOf = (state, channel) => state.view.arrays.order.values.indexOf(channel);

function lay(mark, layout, place) {
  const corner = cornerOf(layout, place);
  Object.assign(mark.style, { left: `${corner.left}px`, top: `${corner.top}px`,
    width: `${layout.tile.width}px`, height: `${layout.tile.height}px` });
}

// Select the enlarged map. It is drawn at once, and sent to Python by the trigger `selected`.
function choose(state, channel) {
  state.channel = channel;
  enlarge(state, channel);
  lay(state.chosen, state.layout, placeOf(state, channel));
  state.one.sheet.setAttribute("aria-label", `${capital(state.view.facts.noun)} ${channel}, enlarged. The arrow keys go from cell to cell.`);
  point(state, null);
}

function enlarge(state, channel) {
  drawn(state.one, state.tileOf(channel), state.side);
  state.one.shows = channel;
}

// Describe the hovered cell, or the selected map if there is none.
function point(state, cell) {
  const { view, legend } = state;
  const [, height, width] = view.arrays.values.shape, { step, field, rounded, noun } = view.facts;
  const [low, high] = [view.arrays.low.values, view.arrays.high.values];
  const channel = cell?.channel ?? state.channel;
  state.cell = cell;
  if (state.one.shows !== channel) enlarge(state, channel);
  const where = cell ? { top: cell.y, left: cell.x, bottom: cell.y + 1, right: cell.x + 1 } : null;
  outline(state.one, where, [height, width]);
  if (state.picture) {
    const size = view.arrays.picture.shape.slice(0, 2);
    outline(state.input, cell ? fieldOf(field, cell.y * step, cell.x * step, size) : null, size);
  }
  state.hovered.classList.toggle("seen", cell !== null);
  if (cell) lay(state.hovered, state.layout, placeOf(state, channel));
  showScale(legend, low[channel], high[channel], state.table);
  const value = cell ? view.arrays.values.values[(channel * height + cell.y) * width + cell.x] : NaN;
  showTick(legend, value, low[channel], high[channel]);
  state.one.caption.textContent = `${capital(noun)} ${channel}${step > 1 ? `, of every ${step} cells one` : ""}`;
  legend.readout.textContent = cell
    ? `${noun} ${channel} · y ${cell.y * step}, x ${cell.x * step} · ${rounded ? "≈ " : ""}${plainly(value)}`
    : `${noun} ${channel} · point at a cell to read it off`;
}
