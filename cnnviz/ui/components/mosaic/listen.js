// Pointer and keyboard handlers of the mosaic and the enlarged map.
const PAUSE_MS = 220;

function listen(state) {
  const { canvas, one } = state;
  const inMosaic = (event) => {
    const found = under(state.layout, event.offsetX, event.offsetY, state.view.arrays.order.values.length);
    return found && { channel: state.view.arrays.order.values[found.place], y: found.y, x: found.x };
  };
  canvas.addEventListener("pointermove", (event) => point(state, inMosaic(event)));
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") point(state, null); });
  canvas.addEventListener("click", (event) => {
    const cell = inMosaic(event);
    if (!cell) return;
    pick(state, cell.channel);
    point(state, cell);
  });
  canvas.addEventListener("keydown", (event) => walk(state, event));

  const inOne = (event) => {
    const [, height, width] = state.view.arrays.values.shape;
    const within = (at, side) => Math.max(0, Math.min(side - 1, Math.floor(at / one.zoom)));
    return { channel: one.shows, y: within(event.offsetY, height), x: within(event.offsetX, width) };
  };
  one.sheet.tabIndex = 0;
  one.sheet.setAttribute("role", "application");
  one.sheet.addEventListener("pointerdown", (event) => { one.canvas.setPointerCapture(event.pointerId); point(state, inOne(event)); });
  one.canvas.addEventListener("pointermove", (event) => point(state, inOne(event)));
  one.canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") point(state, null); });
  one.sheet.addEventListener("keydown", (event) => step(state, event));
}

function pick(state, channel) {
  choose(state, channel);
  clearTimeout(state.pause);
  state.tell(channel);
}

// From map to map; sent to Python once navigation pauses.
function walk(state, event) {
  const order = state.view.arrays.order.values, at = placeOf(state, state.channel), { columns } = state.layout;
  const to = { ArrowRight: at + 1, ArrowLeft: at - 1, ArrowDown: at + columns, ArrowUp: at - columns, Home: 0,
    End: order.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  if (to < 0 || to >= order.length) return;
  choose(state, order[to]);
  follow(state, to);
  clearTimeout(state.pause);
  state.pause = setTimeout(() => state.tell(state.channel), PAUSE_MS);
}

function follow(state, place) {
  const { top } = cornerOf(state.layout, place), bottom = top + state.layout.tile.height;
  const { scroll } = state;
  if (top < scroll.scrollTop) scroll.scrollTop = top;
  else if (bottom > scroll.scrollTop + scroll.clientHeight) scroll.scrollTop = bottom - scroll.clientHeight + 6;
}

// From cell to cell of the enlarged map.
function step(state, event) {
  const by = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] }[event.key];
  if (event.key === "Escape") return point(state, null);
  if (!by) return undefined;
  event.preventDefault();
  const [, height, width] = state.view.arrays.values.shape;
  const from = state.cell ?? { y: Math.floor(height / 2) - by[0], x: Math.floor(width / 2) - by[1] };
  return point(state, { channel: state.channel, y: Math.max(0, Math.min(height - 1, from.y + by[0])),
    x: Math.max(0, Math.min(width - 1, from.x + by[1])) });
}
