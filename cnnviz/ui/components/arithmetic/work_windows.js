// Convolution, pooling and resizing: the contribution of an input window to a cell. As in cnnviz.interpret.arithmetic,
// in double precision, with the names of its `Working`.
const at3 = ({ shape: [, height, width], values }, channel, y, x) => values[(channel * height + y) * width + x];

// The part of map `index` under `kernel(i, j)`, its first value at (top, left); 0 outside.
function windowOf(input, index, channel, top, left, [rows, columns], kernel = null, step = [1, 1]) {
  const [, height, width] = input.shape;
  const found = { channel, top, left, step, values: [], inside: [], weights: kernel && [], products: kernel && [], total: 0, source: "" };
  for (let i = 0; i < rows; i++) {
    const lines = { values: [], inside: [], weights: [], products: [] };
    for (let j = 0; j < columns; j++) {
      const y = top + i * step[0], x = left + j * step[1];
      const inside = y >= 0 && y < height && x >= 0 && x < width;
      const value = inside ? at3(input, index, y, x) : 0, weight = kernel ? kernel(i, j) : 1;
      lines.values.push(value);
      lines.inside.push(inside);
      lines.weights.push(weight);
      lines.products.push(value * weight);
      found.total += value * weight;
    }
    Object.keys(lines).forEach((name) => found[name]?.push(lines[name]));
  }
  return found;
}

const cornerAt = ({ stride, padding }, y, x) => [y * stride[0] - padding[0], x * stride[1] - padding[1]];

const sumAndBias = (total, bias) => [
  { label: "sum of the products", value: total }, { label: "bias", value: bias }, { label: "result", value: total + bias },
];

function convolution(view, channel, y, x) {
  const { settings, outputShape, scope } = view, { input, weight, bias } = view.arrays;
  const own = view.own(channel), [, per, rows, columns] = weight.shape;
  const { groups, connections, dilation } = settings;
  const first = Math.floor(channel / (outputShape[0] / groups)) * per;
  const [top, left] = cornerAt(settings, y, x);
  const windows = (connections ? connections[channel] : [...Array(per).keys()]).map((k) => {
    const sent = scope === "channel" && !connections ? k : first + k; // of a channel, only its group's maps are sent
    const kernel = (i, j) => weight.values[((own * per + k) * rows + i) * columns + j];
    return windowOf(input, sent, first + k, top, left, [rows, columns], kernel, dilation);
  });
  const sees = new Set(windows.map((one) => one.channel));
  return {
    formula: "Σ input · weight + bias", windows, contributions: [], inputs: windows.length * rows * columns,
    left_out: [...Array(per * groups).keys()].filter((i) => !sees.has(i)),
    steps: sumAndBias(windows.reduce((sum, one) => sum + one.total, 0), bias.values[own]),
  };
}

function largestOf(found) {
  let winner = null, best = -Infinity;
  found.values.forEach((line, i) => line.forEach((value, j) => {
    if (found.inside[i][j] && (value > best || winner === null)) [winner, best] = [[i, j], value];
  }));
  return {
    formula: "max of the window", windows: [found], contributions: [], inputs: found.inside.flat().filter(Boolean).length,
    winner: { channel: found.channel, y: found.top + winner[0] * found.step[0], x: found.left + winner[1] * found.step[1] },
    steps: [{ label: "result", value: best }],
  };
}

const meanOf = (found, count) => ({
  formula: "sum of the window / cells", windows: [found], contributions: [], inputs: count,
  steps: [{ label: "sum of the window", value: found.total }, { label: "cells", value: count }, { label: "result", value: found.total / count }],
});

function pooled(view, channel, y, x) {
  const { kernel, dilation } = view.settings, [top, left] = cornerAt(view.settings, y, x);
  return windowOf(view.arrays.input, view.own(channel), channel, top, left, kernel, null, dilation);
}

function averagePooling(view, channel, y, x) {
  const found = pooled(view, channel, y, x), { kernel, padding, with_padding, divisor } = view.settings;
  const sides = view.arrays.input.shape.slice(1);
  const reach = [found.top, found.left].map((from, axis) => Math.min(from + kernel[axis], sides[axis] + padding[axis]) - from);
  return meanOf(found, divisor || (with_padding ? reach[0] * reach[1] : found.inside.flat().filter(Boolean).length));
}

// A window of pooling to a given number of cells reaches from ⌊i·n/m⌋ to ⌈(i + 1)·n/m⌉.
function adaptive(view, channel, y, x) {
  const sides = view.arrays.input.shape.slice(1), { cells } = view.settings;
  const low = [y, x].map((i, axis) => Math.floor((i * sides[axis]) / cells[axis]));
  const high = [y, x].map((i, axis) => Math.ceil(((i + 1) * sides[axis]) / cells[axis]));
  return windowOf(view.arrays.input, view.own(channel), channel, ...low, [high[0] - low[0], high[1] - low[1]]);
}

function subsampling(view, channel, y, x) {
  const found = pooled(view, channel, y, x), own = view.own(channel);
  const mean = found.total / 4, gain = view.arrays.gain.values[own], bias = view.arrays.bias.values[own];
  return {
    formula: "mean · gain + bias", windows: [found], contributions: [], inputs: 4,
    steps: [{ label: "mean of the window", value: mean }, { label: "trained gain", value: gain },
      { label: "trained bias", value: bias }, { label: "result", value: mean * gain + bias }],
  };
}

function resize(view, channel, y, x) {
  const sides = view.arrays.input.shape.slice(1);
  const near = [y, x].map((place, axis) => {
    const old = sides[axis], at = Math.max(0, ((place + 0.5) * old) / view.settings.cells[axis] - 0.5);
    const first = Math.min(Math.floor(at), old - 1), share = at - first;
    return { first, shares: first < old - 1 ? [1 - share, share] : [1] };
  });
  const [rows, columns] = near;
  const found = windowOf(view.arrays.input, view.own(channel), channel, rows.first, columns.first,
    [rows.shares.length, columns.shares.length], (i, j) => rows.shares[i] * columns.shares[j]);
  return { formula: "Σ input · nearness", windows: [found], contributions: [], inputs: 4, steps: [{ label: "result", value: found.total }] };
}
