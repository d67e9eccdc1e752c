// Forward pass of a layer list in the browser: `forward(program, weights, input)` gives every layer's output.
// Large convolutions are left to `fast(layer, tensor)` where there is one (convolution.js).
//
// `program` is what `layer_program.py` and `module_program.py` write: {input: [C, H, W], layers: [{name, op, …}]}. A
// layer reads the one before it, or those whose positions are in its `from` (-1: the image). Weights lie one after
// another in one Float32Array; a layer's `weight`, `bias`, `scale`, `shift` and `codes` are offsets into it, null
// where there is none. A tensor is {shape, values}, values a Float32Array in C order, without the batch.
const OPERATIONS = {
  conv2d, linear, pool2d, global_pool: globalPool, batch_norm: batchNorm, lrn: localResponseNorm,
  activation: activate, softmax, radial_basis: radialBasis,
  flatten: (layer, { values }) => ({ shape: [values.length], values }),
};
const JOINS = { concat, add };

function forward(program, weights, input, fast = null) {
  const image = { shape: program.input, values: input }, outputs = [];
  program.layers.forEach((layer, i) => {
    const tensors = (layer.from ?? [i - 1]).map((place) => (place < 0 ? image : outputs[place]));
    const tensor = JOINS[layer.op]?.(tensors) ?? OPERATIONS[layer.op](layer, tensors[0], weights, fast);
    outputs.push({ name: layer.name, op: layer.op, ...tensor });
  });
  return outputs;
}

function concat(tensors) {
  const values = new Float32Array(tensors.reduce((all, tensor) => all + tensor.values.length, 0));
  let at = 0;
  tensors.forEach((tensor) => { values.set(tensor.values, at); at += tensor.values.length; });
  return { shape: [tensors.reduce((all, { shape }) => all + shape[0], 0), ...tensors[0].shape.slice(1)], values };
}

function add([one, other]) {
  return { shape: one.shape, values: one.values.map((value, i) => value + other.values[i]) };
}

// Positions of outputs, from `first` up to `end`, whose tap lies inside the input.
function within(tap, padding, stride, size, outputs) {
  const reach = padding - tap;
  return [Math.max(0, Math.ceil(reach / stride)), Math.min(outputs, Math.floor((size - 1 + reach) / stride) + 1)];
}

// Rows and columns of a convolution's output.
function convolved({ kernel, stride, padding, dilation }, height, width) {
  return [height, width].map((side, i) =>
    Math.floor((side + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) / stride[i]) + 1);
}

// Every output map sums a window over its group's maps, or over those that `connections` lists for it.
const LARGE = 100_000; // products, from which on copying the windows first pays

function conv2d(layer, tensor, weights, fast) {
  const { shape: [channels, height, width], values } = tensor;
  const { out, groups = 1, connections = null, weight, bias } = layer;
  const [[kh, kw], [sy, sx], [py, px], [dy, dx]] = [layer.kernel, layer.stride, layer.padding, layer.dilation];
  const [rows, columns] = convolved(layer, height, width);
  const perGroup = channels / groups;
  if (!connections && out * perGroup * kh * kw * rows * columns >= LARGE) {
    if (fast) return biased(fast(layer, tensor), weights, bias);
    if (groups === 1) return biased(product(layer, tensor, weights, rows, columns), weights, bias);
  }
  const result = new Float32Array(out * rows * columns);
  let at = weight;
  for (let map = 0; map < out; map++) {
    const base = map * rows * columns, start = perGroup * Math.floor((map * groups) / out);
    if (bias !== null) result.fill(weights[bias + map], base, base + rows * columns);
    const count = connections ? connections[map].length : perGroup;
    for (let i = 0; i < count; i++) {
      const plane = (connections ? connections[map][i] : start + i) * height * width;
      for (let ky = 0; ky < kh; ky++) {
        const [top, bottom] = within(ky * dy, py, sy, height, rows);
        for (let kx = 0; kx < kw; kx++, at++) {
          const factor = weights[at], [left, right] = within(kx * dx, px, sx, width, columns);
          for (let y = top; y < bottom; y++) {
            const line = base + y * columns;
            let from = plane + (y * sy + ky * dy - py) * width + left * sx + kx * dx - px;
            for (let x = left; x < right; x++, from += sx) result[line + x] += factor * values[from];
          }
        }
      }
    }
  }
  return { shape: [out, rows, columns], values: result };
}

function biased(tensor, weights, bias) {
  if (bias === null) return tensor;
  const { shape: [out], values } = tensor, area = values.length / out;
  for (let map = 0, i = 0; map < out; map++) for (const end = i + area; i < end; i++) values[i] += weights[bias + map];
  return tensor;
}

function product(layer, tensor, weights, rows, columns) {
  const { out, weight, kernel: [kh, kw] } = layer, count = rows * columns, values = new Float32Array(out * count);
  multiplied(weights, weight, out, tensor.shape[0] * kh * kw, windowPanels(layer, tensor, rows, columns), count, values);
  return { shape: [out, rows, columns], values };
}

// Every window's values, four windows side by side, so that a matrix product reads them in one run.
const PANEL = 4;

function windowPanels({ kernel: [kh, kw], stride, padding, dilation }, { shape: [channels, height, width], values }, rows, columns) {
  const count = rows * columns, size = channels * kh * kw;
  const panels = new Float32Array(Math.ceil(count / PANEL) * size * PANEL);
  for (let c = 0, k = 0; c < channels; c++) {
    for (let ky = 0; ky < kh; ky++) {
      for (let kx = 0; kx < kw; kx++, k++) {
        for (let row = 0, n = 0; row < rows; row++) {
          const y = row * stride[0] - padding[0] + ky * dilation[0];
          if (y < 0 || y >= height) { n += columns; continue; }
          let x = kx * dilation[1] - padding[1];
          for (let column = 0; column < columns; column++, n++, x += stride[1])
            if (x >= 0 && x < width) panels[((n >> 2) * size + k) * PANEL + (n & 3)] = values[(c * height + y) * width + x];
        }
      }
    }
  }
  return panels;
}

// Weights (maps × size) times panels (size × windows), two maps and four windows at a time: what fits in registers.
function multiplied(weights, start, maps, size, panels, count, result) {
  for (let n = 0, from = 0; n < count; n += PANEL, from += PANEL * size) {
    const width = Math.min(PANEL, count - n);
    for (let map = 0; map < maps; map += 2) {
      const one = start + map * size, other = start + Math.min(map + 1, maps - 1) * size;
      let a0 = 0, a1 = 0, a2 = 0, a3 = 0, b0 = 0, b1 = 0, b2 = 0, b3 = 0;
      for (let k = 0, at = from; k < size; k++, at += PANEL) {
        const u = weights[one + k], v = weights[other + k];
        const x0 = panels[at], x1 = panels[at + 1], x2 = panels[at + 2], x3 = panels[at + 3];
        a0 += u * x0; a1 += u * x1; a2 += u * x2; a3 += u * x3;
        b0 += v * x0; b1 += v * x1; b2 += v * x2; b3 += v * x3;
      }
      const to = map * count + n;
      result[to] = a0;
      if (width > 1) result[to + 1] = a1;
      if (width > 2) result[to + 2] = a2;
      if (width > 3) result[to + 3] = a3;
      if (map + 1 === maps) continue;
      result[to + count] = b0;
      if (width > 1) result[to + count + 1] = b1;
      if (width > 2) result[to + count + 2] = b2;
      if (width > 3) result[to + count + 3] = b3;
    }
  }
}

function linear({ out, weight, bias }, { values }, weights) {
  const result = new Float32Array(out), size = values.length;
  for (let unit = 0, at = weight; unit < out; unit++, at += size) {
    let sum = bias === null ? 0 : weights[bias + unit];
    for (let i = 0; i < size; i++) sum += weights[at + i] * values[i];
    result[unit] = sum;
  }
  return { shape: [out], values: result };
}

// With `ceil` a last window may hang over the edge, but none begins in the far padding (as PyTorch has it).
function pooled(size, kernel, stride, padding, ceil) {
  const room = size + 2 * padding - kernel;
  const outputs = (ceil ? Math.ceil(room / stride) : Math.floor(room / stride)) + 1;
  return ceil && (outputs - 1) * stride >= size + padding ? outputs - 1 : outputs;
}

// The largest value of each window, padding left out; or its mean, padding counted as zeros.
function pool2d({ mode, kernel, stride, padding, ceil }, { shape: [channels, height, width], values }) {
  const rows = pooled(height, kernel[0], stride[0], padding[0], ceil);
  const columns = pooled(width, kernel[1], stride[1], padding[1], ceil);
  const result = new Float32Array(channels * rows * columns);
  for (let c = 0, to = 0; c < channels; c++) {
    for (let row = 0; row < rows; row++) {
      const top = row * stride[0] - padding[0], bottom = Math.min(top + kernel[0], height + padding[0]);
      for (let column = 0; column < columns; column++, to++) {
        const left = column * stride[1] - padding[1], right = Math.min(left + kernel[1], width + padding[1]);
        let largest = -Infinity, sum = 0;
        for (let y = Math.max(0, top); y < Math.min(bottom, height); y++) {
          for (let x = Math.max(0, left); x < Math.min(right, width); x++) {
            const value = values[(c * height + y) * width + x];
            sum += value;
            if (value > largest || Number.isNaN(value)) largest = value;
          }
        }
        result[to] = mode === "max" ? largest : sum / ((bottom - top) * (right - left));
      }
    }
  }
  return { shape: [channels, rows, columns], values: result };
}

function globalPool(_layer, { shape: [channels, height, width], values }) {
  const area = height * width;
  const result = Float32Array.from({ length: channels }, (_, c) => {
    let sum = 0;
    for (let i = c * area; i < (c + 1) * area; i++) sum += values[i];
    return sum / area;
  });
  return { shape: [channels, 1, 1], values: result };
}

// A factor and a shift a channel: what batch normalization is in evaluation, and trained subsampling's gain.
function batchNorm({ scale, shift }, { shape, values }, weights) {
  const area = values.length / shape[0], result = new Float32Array(values.length);
  for (let channel = 0, i = 0; channel < shape[0]; channel++) {
    const factor = weights[scale + channel], offset = weights[shift + channel];
    for (let end = i + area; i < end; i++) result[i] = values[i] * factor + offset;
  }
  return { shape, values: result };
}

// Local response normalization in PyTorch's convention: alpha is divided by the window's size.
function localResponseNorm({ size, alpha, beta, k }, { shape, values }) {
  const [channels, area] = [shape[0], values.length / shape[0]], before = Math.floor(size / 2);
  return { shape, values: values.map((value, i) => {
    const channel = Math.floor(i / area), place = i % area;
    let sum = 0;
    for (let c = Math.max(0, channel - before); c < Math.min(channels, channel - before + size); c++)
      sum += values[c * area + place] ** 2;
    return value / (k + (alpha * sum) / size) ** beta;
  }) };
}

const ACTIVATIONS = {
  relu: (x) => (x < 0 ? 0 : x),
  relu6: (x) => (x < 0 ? 0 : x > 6 ? 6 : x),
  tanh: Math.tanh,
  scaled_tanh: (x) => 1.7159 * Math.tanh((2 / 3) * x), // LeCun et al. (1998), appendix A
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  leaky_relu: (x) => (x < 0 ? 0.01 * x : x),
  silu: (x) => x / (1 + Math.exp(-x)),
  hardswish: (x) => (x * Math.max(0, Math.min(6, x + 3))) / 6,
  gelu: (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)),
};

// Abramowitz and Stegun, 7.1.26: off by at most 1.5e-7.
function erf(x) {
  const t = 1 / (1 + 0.3275911 * Math.abs(x));
  const polynomial = ((((1.061405429 * t - 1.453152027) * t + 1.421413741) * t - 0.284496736) * t + 0.254829592) * t;
  return Math.sign(x) * (1 - polynomial * Math.exp(-x * x));
}

function activate({ function: name }, { shape, values }) {
  const apply = ACTIVATIONS[name], result = new Float32Array(values.length);
  for (let i = 0; i < values.length; i++) result[i] = apply(values[i]); // a third of the time of `values.map(apply)`
  return { shape, values: result };
}

// Over the channels, at each position.
function softmax(_layer, { shape, values }) {
  const channels = shape[0], area = values.length / channels, result = new Float32Array(values.length);
  for (let place = 0; place < area; place++) {
    let largest = -Infinity, sum = 0;
    for (let i = place; i < values.length; i += area) largest = Math.max(largest, values[i]);
    for (let i = place; i < values.length; i += area) sum += result[i] = Math.exp(values[i] - largest);
    for (let i = place; i < values.length; i += area) result[i] /= sum;
  }
  return { shape, values: result };
}

// LeNet-5 of 1998: a class's logit is minus the squared distance to its code.
function radialBasis({ out, codes }, { values }, weights) {
  const size = values.length;
  return { shape: [out], values: Float32Array.from({ length: out }, (_, unit) => {
    let sum = 0;
    for (let i = 0; i < size; i++) sum += (values[i] - weights[codes + unit * size + i]) ** 2;
    return -sum;
  }) };
}
