// Units that read a whole vector: fully connected, radial basis, softmax.
const LARGEST = 24;

function contributions(view, weights, products) {
  const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a])).slice(0, LARGEST);
  const { maps } = view.settings, cells = maps && maps[1] * maps[2];
  return order.map((index) => ({
    index, value: view.arrays.input.values[index], weight: weights(index), product: products[index],
    cell: maps ? { channel: Math.floor(index / cells), y: Math.floor(index / maps[2]) % maps[1], x: index % maps[2] } : null,
  }));
}

const summed = (values) => values.reduce((sum, value) => sum + value, 0);

function linear(view, channel) {
  const { input, weight, bias } = view.arrays, own = view.own(channel), count = input.values.length;
  const weights = (i) => weight.values[own * count + i];
  const products = Array.from(input.values, (value, i) => value * weights(i));
  const shown = contributions(view, weights, products), total = summed(products);
  const told = summed(shown.map((one) => one.product));
  const rest = count > shown.length ? [{ label: `the ${shown.length} largest products`, value: told },
    { label: `the other ${(count - shown.length).toLocaleString("en")} products`, value: total - told }] : [];
  return {
    formula: "Σ input · weight + bias", windows: [], contributions: shown, inputs: count,
    steps: [...rest, ...sumAndBias(total, bias.values[own])],
  };
}

function radial(view, channel) {
  const { input, weight } = view.arrays, own = view.own(channel), count = input.values.length;
  const weights = (i) => weight.values[own * count + i];
  const squares = Array.from(input.values, (value, i) => (value - weights(i)) ** 2), total = summed(squares);
  return {
    formula: "−Σ (input − code)²", windows: [], contributions: contributions(view, weights, squares), inputs: count,
    note: "A weight here is a pixel of the class's image: ink +1, paper −1.",
    steps: [{ label: "sum of the squared differences", value: total }, { label: "result", value: -total }],
  };
}

function softmax(view, channel) {
  const logits = view.arrays.input.values, top = logits.reduce((most, value) => Math.max(most, value), -Infinity);
  const powers = Array.from(logits, (value) => Math.exp(value - top)), total = summed(powers);
  return {
    formula: "exp(logit) / Σ exp(logit)", windows: [], contributions: contributions(view, () => 1, powers), inputs: logits.length,
    steps: [{ label: "logit", value: logits[channel] }, { label: "less the largest logit", value: logits[channel] - top },
      { label: "exp of that", value: powers[channel] }, { label: "sum over all classes", value: total },
      { label: "result", value: powers[channel] / total }],
  };
}

const KINDS = {
  convolution, "max pooling": (...where) => largestOf(pooled(...where)), "average pooling": averagePooling,
  "adaptive average pooling": (...where) => { const found = adaptive(...where); return meanOf(found, found.inside.flat().length); },
  "adaptive max pooling": (...where) => largestOf(adaptive(...where)), subsampling, resize, activation, unchanged,
  "batch norm": batchNorm, "local response norm": responseNorm, sum: joined, concatenation, flatten: flattening, linear,
  "radial basis": radial, softmax,
};

// The computation of a cell's value; null if it has to be requested.
function workingOf(view, channel, y, x) {
  if (view.scope === "cell") return view.asked && view.asked.cell.join() === [channel, y, x].join() ? view.asked : null;
  const found = KINDS[view.kind](view, channel, y, x);
  const { shape: [, height, width], values } = view.arrays.output;
  const actual = values[((view.outputIsOwn ? 0 : channel) * height + y) * width + x];
  return { left_out: [], winner: null, note: "", source: "", ...found, result: found.steps.at(-1).value, actual };
}
