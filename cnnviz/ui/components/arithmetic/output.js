// The output map with hover; a vector is laid out as a block of its units.
function gridOf(view) {
  const [count, height, width] = view.outputShape;
  if (height * width > 1 || count === 1) return { rows: height, columns: width, units: 0 };
  if (view.scope === "cell" && view.arrays.output.shape[0] < count) return { rows: 1, columns: 1, units: 0 };
  const columns = Math.ceil(Math.sqrt(count));
  return { rows: Math.ceil(count / columns), columns, units: count };
}

function drawOutput(state) {
  const { view, map, grid } = state, room = Math.min(300, state.side.clientWidth);
  const { shape, values } = view.arrays.output;
  const size = shape[1] * shape[2], start = grid.units || view.outputIsOwn ? 0 : view.channel * size;
  const count = grid.units ? values.length : size;
  const shown = new Float32Array(grid.rows * grid.columns);
  shown.set(values.subarray(start, start + count));
  const limit = largest(Array.from(shown));
  const scale = room / Math.max(grid.rows, grid.columns), zoom = Math.min(40, scale >= 2 ? Math.floor(scale) : scale);
  const source = asCanvas(painted(shown, 0, grid.columns, grid.rows, -limit, limit, state.table));
  const [width, height] = [grid.columns * zoom, grid.rows * zoom];
  const context = sized(map, width, height);
  context.drawImage(source, 0, 0, width, height);
  if (grid.units) context.clearRect((grid.units % grid.columns || grid.columns) * zoom, (grid.rows - 1) * zoom, width, zoom);
  state.zoom = zoom;
}

// The hovered cell as (channel, y, x); null after the last unit.
function placeAt(state, x, y) {
  const { grid, zoom, view } = state;
  const row = Math.max(0, Math.min(grid.rows - 1, Math.floor(y / zoom)));
  const column = Math.max(0, Math.min(grid.columns - 1, Math.floor(x / zoom)));
  if (!grid.units) return [view.channel, row, column];
  const unit = row * grid.columns + column;
  return unit < grid.units ? [unit, 0, 0] : null;
}

function onGrid(state, [channel, y, x]) {
  return state.grid.units ? [Math.floor(channel / state.grid.columns), channel % state.grid.columns] : [y, x];
}

// The cell with the largest magnitude, the initial one.
function firstCell(view) {
  const { shape: [, height, width], values } = view.arrays.output, size = height * width;
  if (view.asked) return view.asked.cell;
  if (view.cell) return [view.channel, ...view.cell];
  if (size === 1) return [view.channel, 0, 0];
  const start = view.outputIsOwn ? 0 : view.channel * size;
  let best = 0;
  for (let i = 1; i < size; i++) if (Math.abs(values[start + i]) > Math.abs(values[start + best])) best = i;
  return [view.channel, Math.floor(best / width), best % width];
}
