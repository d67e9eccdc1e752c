// Element-wise layers: activations, normalization, sums, concatenation.
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const clamp6 = (x) => Math.min(Math.max(0, x), 6);

// Φ, the normal distribution's, by the error function's series or continued fraction: to about fifteen digits.
function normal(x) {
  const z = Math.abs(x) / Math.SQRT2;
  let erf;
  if (z < 3) {
    let term = z, sum = z;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum) && n < 200; n++) { term *= (-z * z) / n; sum += term / (2 * n + 1); }
    erf = (2 / Math.sqrt(Math.PI)) * sum;
  } else {
    let fraction = 0;
    for (let n = 60; n > 0; n--) fraction = n / 2 / (z + fraction);
    erf = 1 - Math.exp(-z * z) / Math.sqrt(Math.PI) / (z + fraction);
  }
  return (1 + (x < 0 ? -erf : erf)) / 2;
}

const FUNCTIONS = {
  relu: [(x) => Math.max(0, x), "max(0, input)"],
  relu6: [clamp6, "min(max(0, input), 6)"],
  leakyrelu: [(x, { slope }) => (x < 0 ? slope * x : x), "input, or slope · input below 0"],
  tanh: [Math.tanh, "tanh(input)"],
  sigmoid: [sigmoid, "1 / (1 + exp(−input))"],
  gelu: [(x) => x * normal(x), "input · Φ(input)"],
  silu: [(x) => x * sigmoid(x), "input / (1 + exp(−input))"],
  hardswish: [(x) => (x * clamp6(x + 3)) / 6, "input · min(max(0, input + 3), 6) / 6"],
  hardsigmoid: [(x) => clamp6(x + 3) / 6, "min(max(0, input + 3), 6) / 6"],
  scaledtanh: [(x) => 1.7159 * Math.tanh((2 / 3) * x), "1.7159 · tanh(2/3 · input)"],
};

const single = (input, index, channel, y, x, source = "") => ({ ...windowOf(input, index, channel, y, x, [1, 1]), source });

function activation(view, channel, y, x) {
  const [apply, formula] = FUNCTIONS[view.settings.function.toLowerCase()];
  const found = single(view.arrays.input, view.own(channel), channel, y, x);
  return {
    formula, windows: [found], contributions: [], inputs: 1, curve: (value) => apply(value, view.settings),
    steps: [{ label: "input", value: found.total }, { label: "result", value: apply(found.total, view.settings) }],
  };
}

function unchanged(view, channel, y, x) {
  const found = single(view.arrays.input, view.own(channel), channel, y, x);
  return {
    formula: "input", windows: [found], contributions: [], inputs: 1,
    note: "Only while training are values zeroed at random; a prediction passes them on.",
    steps: [{ label: "input", value: found.total }, { label: "result", value: found.total }],
  };
}

function batchNorm(view, channel, y, x) {
  const own = view.own(channel), found = single(view.arrays.input, own, channel, y, x);
  const [mean, variance, gain, shift] = ["mean", "variance", "gain", "shift"].map((name) => view.arrays[name].values[own]);
  const deviation = Math.sqrt(variance + view.settings.eps), scaled = (found.total - mean) / deviation;
  return {
    formula: "(input − mean) / √(variance + ε) · gain + shift", windows: [found], contributions: [], inputs: 1,
    steps: [{ label: "input", value: found.total }, { label: "running mean", value: mean },
      { label: "running standard deviation", value: deviation }, { label: "normalized", value: scaled },
      { label: "gain", value: gain }, { label: "shift", value: shift }, { label: "result", value: scaled * gain + shift }],
  };
}

function responseNorm(view, channel, y, x) {
  const { size, alpha, beta, k } = view.settings, { input } = view.arrays;
  const first = Math.max(0, channel - Math.floor(size / 2));
  const last = Math.min(input.shape[0], channel + Math.floor((size - 1) / 2) + 1);
  const windows = Array.from({ length: last - first }, (_, i) => {
    const value = at3(input, first + i, y, x);
    return windowOf(input, first + i, first + i, y, x, [1, 1], () => value);
  });
  const value = at3(input, channel, y, x), squares = windows.reduce((sum, one) => sum + one.total, 0);
  const base = k + (alpha / size) * squares;
  return {
    formula: "input / (k + α/n · Σ input²)^β", windows, contributions: [], inputs: windows.length,
    steps: [{ label: "input", value }, { label: "sum of the squares", value: squares }, { label: "k + α/n · sum", value: base },
      { label: "divisor, to the power β", value: base ** beta }, { label: "result", value: value / base ** beta }],
  };
}

// One of the two may be broadcast over the cells, or over the maps.
function spread(part, index, channel, y, x, source) {
  const [count, height, width] = part.shape;
  return single(part, count > 1 ? index : 0, count > 1 ? channel : 0, height > 1 ? y : 0, width > 1 ? x : 0, source);
}

function joined(view, channel, y, x) {
  const { sign, sources } = view.settings;
  const windows = [view.arrays.input1, view.arrays.input2].map((part, i) => spread(part, view.own(channel), channel, y, x, sources[i]));
  const [left, right] = windows.map((one) => one.total);
  const names = sources.map((source, i) => source || `input ${i + 1}`);
  const result = { "+": left + right, "−": left - right, "·": left * right }[sign];
  return {
    formula: names.join(` ${sign} `), windows, contributions: [], inputs: 2,
    steps: [{ label: names[0], value: left }, { label: names[1], value: right }, { label: "result", value: result }],
  };
}

function concatenation(view, channel, y, x) {
  const { channels, sources } = view.settings;
  let number = 0, within = channel;
  while (within >= channels[number]) within -= channels[number++];
  const found = { ...single(view.arrays.output, view.own(channel), within, y, x), source: sources[number] };
  const name = sources[number] ? `'${sources[number]}'` : `input ${number + 1}`;
  return {
    formula: "input", windows: [found], contributions: [], inputs: 1, note: `Channel ${channel} is channel ${within} of ${name}.`,
    steps: [{ label: "result", value: found.total }],
  };
}

function flattening(view, channel) {
  const [, height, width] = view.settings.maps;
  const place = [Math.floor(channel / (height * width)), Math.floor(channel / width) % height, channel % width];
  const found = single(view.arrays.input, ...[place[0], ...place]);
  return {
    formula: "input", windows: [found], contributions: [], inputs: 1,
    note: `Value ${channel} is channel ${place[0]}, row ${place[1]}, column ${place[2]}.`,
    steps: [{ label: "result", value: found.total }],
  };
}
