// Terms of one value: the window that it reads, and each input's contribution to the sum.

// The window over an input map for a cell: {top, left, height, width, step} in its cells; the whole map where one value sees all.
function windowOf(program, stage, { y, x }) {
  const layer = program.layers[stage.head];
  if (["conv2d", "pool2d"].includes(stage.kind)) {
    const [sy, sx] = layer.stride, [py, px] = layer.padding, [height, width] = layer.kernel, [dy, dx] = layer.dilation ?? [1, 1];
    return { top: y * sy - py, left: x * sx - px, height, width, dy, dx };
  }
  if (["add", "pointwise"].includes(stage.kind)) return { top: y, left: x, height: 1, width: 1, dy: 1, dx: 1 };
  const [, height, width] = stage.sources[0].shape;
  return { top: 0, left: 0, height, width, dy: 1, dx: 1 };
}

// Its values; NaN stands outside the map, where padding counts as zero, or in pooling not at all.
function patchOf(state, read, { top, left, height, width, dy, dx }) {
  const [, rows, columns] = read.stage.shape, values = mapValues(state, read.stage, read.channel);
  return Float32Array.from({ length: height * width }, (_, i) => {
    const y = top + Math.floor(i / width) * dy, x = left + (i % width) * dx;
    return y < 0 || x < 0 || y >= rows || x >= columns ? NaN : values[y * columns + x];
  });
}

const SUMMING = new Set(["conv2d", "linear", "radial_basis", "add"]);
const orZero = (value) => (Number.isNaN(value) ? 0 : value);

// {reads, window, parts, weights, bias, sum, steps, value}: `parts` one number an input, `steps` what follows the sum.
function termsOf(state, stage, channel, cell) {
  const { program } = state, layer = program.layers[stage.head];
  const reads = readsOf(program, stage, channel), window = windowOf(program, stage, cell);
  const weights = ["conv2d", "linear", "radial_basis"].includes(stage.kind) ? kernelOf(state, stage, channel) : null;
  const terms = { reads, window, weights, size: window.height * window.width, parts: null, bias: null, winner: -1 };
  if (SUMMING.has(stage.kind) && (weights || stage.kind === "add")) {
    terms.parts = reads.map((read, i) => partOf(state, stage, terms, read, i));
    terms.bias = layer.bias === null || layer.bias === undefined ? null : entryOf(state, layer.bias, channel);
    terms.sum = terms.parts.reduce((all, part) => all + part, 0) + (terms.bias ?? 0);
  }
  if (["pool2d", "global_pool"].includes(stage.kind)) pool(state, layer, terms);
  terms.steps = stepsOf(state, stage, channel, cell, terms);
  terms.value = terms.steps.length ? terms.steps.at(-1).value : terms.sum ?? storedAt(state, stage.out, stage, channel, cell);
  return terms;
}

function partOf(state, stage, { weights, window, size }, read, i) {
  const patch = patchOf(state, read, window);
  if (stage.kind === "add") return patch[0];
  let sum = 0;
  for (let k = 0; k < size; k++) {
    const value = orZero(patch[k]), weight = weights[i * size + k];
    sum += stage.kind === "radial_basis" ? -((value - weight) ** 2) : value * weight;
  }
  return sum;
}

function pool(state, layer, terms) {
  const patch = patchOf(state, terms.reads[0], terms.window), inside = patch.filter((value) => !Number.isNaN(value));
  if (layer.mode === "max") {
    terms.sum = extremes(inside)[1];
    terms.winner = patch.indexOf(terms.sum);
  } else {
    const counted = layer.op === "global_pool" ? patch.length : patch.length; // padding counts as zeros in a mean
    terms.sum = inside.reduce((all, value) => all + value, 0) / counted;
  }
}

// The steps after the sum, one by one.
function stepsOf(state, stage, channel, cell, terms) {
  const first = stage.kind === "pointwise" ? 0 : 1;
  let value = terms.sum ?? (stage.kind === "pointwise" ? patchOf(state, terms.reads[0], terms.window)[0] : NaN);
  return stage.layers.slice(first).map((place) => {
    const layer = state.program.layers[place], before = value;
    if (layer.op === "batch_norm") value = value * entryOf(state, layer.scale, channel) + entryOf(state, layer.shift, channel);
    else if (layer.op === "activation") value = ACTIVATIONS[layer.function](value);
    else value = storedAt(state, place, stage, channel, cell);
    return { layer, word: wordOf(layer), before, value, scale: layer.op === "batch_norm" ? entryOf(state, layer.scale, channel) : null, shift: layer.op === "batch_norm" ? entryOf(state, layer.shift, channel) : null };
  });
}

function storedAt(state, place, stage, channel, { y, x }) {
  const [, height, width] = stage.shape;
  return state.outputs[place].values[(channel * height + y) * width + x];
}

// The whole in one line.
function sentenceOf(state, stage, terms) {
  const number = (value) => plainly(Number(value.toPrecision(4))), is = about(state) ? "≈" : "=";
  const tail = terms.steps.map(({ word, value, scale, shift }) => (scale === null ? ` → ${word} ${number(value)}` : ` → ${word} × ${number(scale)} + ${number(shift)} = ${number(value)}`)).join("");
  if (stage.kind === "pool2d" || stage.kind === "global_pool") {
    const layer = state.program.layers[stage.head];
    return `${layer.mode === "max" ? "Largest" : "Mean"} of ${terms.size} values ${is} ${number(terms.sum)}${tail}`;
  }
  if (stage.kind === "pointwise") return `${number(terms.steps[0].before)}${tail}`;
  if (!terms.parts) return "Its weights are on their way …";
  if (stage.kind === "add") return `${terms.parts.map(number).join(" + ")} ${is} ${number(terms.sum)}${tail}`;
  const products = (terms.reads.length * terms.size).toLocaleString("en"), raw = terms.sum - (terms.bias ?? 0);
  const name = stage.kind === "radial_basis" ? "squared differences" : "products";
  return `Sum of ${products} ${name} ${is} ${number(raw)}${terms.bias === null ? "" : `, bias ${number(terms.bias)}: ${number(terms.sum)}`}${tail}`;
}
