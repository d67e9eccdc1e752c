// One row per window or contribution: its position, values × weights = products, and its sum.
const LABEL = 76, PLACE = 118, SIGN = 20, SUM = 66, BAR = 110, THUMB = 64, NARROW = 600, ROOM = 500, AT_ONCE = 4;

const largest = (lists) => lists.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;

function planOf(view, worked, width) {
  const wide = width >= NARROW;
  const thumb = wide && view.arrays.input && worked.windows.length && view.arrays.input.shape[1] > 1 ? THUMB : 0;
  const [first] = worked.windows;
  const rows = first?.values.length ?? 1, columns = first?.values[0].length ?? 1;
  const grids = first && !first.weights ? 1 : 3;
  const bars = grids === 3 && worked.windows.length + worked.contributions.length > 1 ? (wide ? BAR : 50) : 0;
  const label = worked.contributions.length ? PLACE : wide ? LABEL : 46;
  const sum = grids === 3 && rows * columns > 1 ? SUM : 12;
  const left = width - label - (thumb && thumb + 12) - (grids - 1) * SIGN - sum - bars - 8;
  const most = grids === 1 ? 46 : 38, low = Math.max(LEGIBLE, Math.floor(ROOM / AT_ONCE / rows));
  const cell = Math.max(3, Math.min(most, low, Math.floor(left / (grids * columns)), Math.floor(300 / rows)));
  const height = Math.max(rows * cell, thumb, 20) + 8;
  const all = worked.windows.length || worked.contributions.length;
  const shown = Math.min(all, view.more ? 32 : Math.max(2, Math.min(10, Math.floor(ROOM / height))));
  return { thumb, rows, columns, grids, bars, label, sum, cell, height, shown, all };
}

function rowsOf(worked, shown) {
  if (!worked.windows.length) {
    return worked.contributions.slice(0, shown).map((one) => ({ ...one, total: one.product,
      values: [[one.value]], weights: [[one.weight]], products: [[one.product]], inside: [[true]] }));
  }
  if (shown === worked.windows.length) return worked.windows;
  return [...worked.windows].sort((a, b) => Math.abs(b.total) - Math.abs(a.total)).slice(0, shown);
}

function nameOf(view, row) {
  if (row.source) return row.source;
  if (row.cell) return `map ${row.cell.channel} · y ${row.cell.y}, x ${row.cell.x}`;
  if (row.index !== undefined) return view.kind === "softmax" ? (view.units[row.index] ?? `${row.index}`) : `input ${row.index}`;
  return `map ${row.channel}`;
}

const SIGNS = { softmax: ["", "→"], "radial basis": ["−", "²="] };

function drawRow(ink, view, row, plan, top, limits, mark) {
  const { cell, rows, columns, thumb, height } = plan, middle = top + (height - 8) / 2;
  const gridTop = middle - (rows * cell) / 2, wide = columns * cell;
  let x = 0;
  write(ink, cutTo(ink, nameOf(view, row), plan.label - 8), x, middle, { size: 12.5 });
  x += plan.label;
  if (thumb) {
    drawThumb(ink, view, row, x, middle - thumb / 2, thumb);
    x += thumb + 12;
  }
  matrix(ink, row, x, gridTop, cell, limits.values, mark);
  x += wide;
  if (plan.grids === 3) {
    const [times, equals] = SIGNS[view.kind] ?? ["×", "="];
    if (view.kind !== "softmax") {
      write(ink, times, x + SIGN / 2, middle, { align: "center" });
      matrix(ink, { values: row.weights, inside: null }, x + SIGN, gridTop, cell, limits.weights);
      x += SIGN + wide;
    }
    write(ink, equals, x + SIGN / 2, middle, { align: "center" });
    matrix(ink, { values: row.products, inside: row.inside }, x + SIGN, gridTop, cell, limits.products);
    x += SIGN + wide;
  }
  if (plan.grids === 3 && rows * columns > 1) write(ink, plainly(row.total), x + SUM - 4, middle, { align: "right", size: 12.5 });
  if (plan.bars) bar(ink, row.total, limits.totals, x + plan.sum, middle - 6, plan.bars, 12);
}

function cutTo(ink, text, room) {
  ink.context.font = `400 12.5px ${ink.font}`;
  if (ink.context.measureText(text).width <= room) return text;
  let kept = text;
  while (kept.length > 1 && ink.context.measureText(`${kept}…`).width > room) kept = kept.slice(0, -1);
  return `${kept}…`;
}

// The whole input map, small, with the window outlined.
function drawThumb(ink, view, row, left, top, side) {
  const { input } = view.arrays, [, height, width] = input.shape;
  const scale = side / Math.max(height, width), index = view.sentAt(row.channel);
  const picture = view.thumbs.get(index) ?? asCanvas(painted(input.values, index * height * width, width, height, -view.limits.values,
    view.limits.values, ink.table));
  view.thumbs.set(index, picture);
  ink.context.drawImage(picture, left, top, width * scale, height * scale);
  const tall = (row.values.length - 1) * row.step[0] + 1, broad = (row.values[0].length - 1) * row.step[1] + 1;
  frame(ink, left + row.left * scale, top + row.top * scale, Math.max(2, broad * scale), Math.max(2, tall * scale), 1.5);
}
