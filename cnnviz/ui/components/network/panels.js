// The panels of an opened layer: the input under the window, the terms, each input's part, and the output.
const NUMBERS_FROM = 27; // pixels a cell, from which on its number is written into it

function fitCanvas(canvas, width, height, room, most) {
  const scale = Math.min(most, room / width, 300 / height);
  return { context: sized(canvas, width * scale, height * scale), scale };
}

function drawInput(state, terms) {
  const { panel: { input }, layer: { stage, input: at } } = state, read = terms.reads[at];
  input.part.hidden = stage.kind === "softmax";
  if (input.part.hidden) return;
  const [, height, width] = read.stage.shape, single = height * width === 1;
  const room = roomFor(state, 300);
  if (single) return drawVector(state, terms, room);
  const { context, scale } = fitCanvas(input.canvas, width, height, room, room);
  context.drawImage(mapCanvas(state, read.stage, read.channel), 0, 0, width * scale, height * scale);
  state.layer.inputScale = scale;
  const { window } = terms, marks = state.colors.mark;
  if (window.height * window.width < height * width || stage.kind === "conv2d") {
    shadeOutside(context, state, window, scale, width, height);
    context.strokeStyle = marks;
    context.lineWidth = 2.5;
    const tall = (window.height - 1) * window.dy + 1, wide = (window.width - 1) * window.dx + 1;
    context.strokeRect(window.left * scale, window.top * scale, wide * scale, tall * scale);
  }
  if (terms.winner >= 0) {
    const y = window.top + Math.floor(terms.winner / window.width), x = window.left + (terms.winner % window.width);
    context.strokeStyle = state.colors.paper;
    context.lineWidth = 4;
    context.strokeRect(x * scale + 2, y * scale + 2, scale - 4, scale - 4);
    context.strokeStyle = marks;
    context.lineWidth = 2;
    context.strokeRect(x * scale + 2, y * scale + 2, scale - 4, scale - 4);
  }
  input.caption.textContent = `${nameOf(state, read.stage, read.channel)}${read.stage.kind === "input" && read.stage.shape[0] === 3 ? `: ${["red", "green", "blue"][read.channel]}` : ""}`;
  input.canvas.setAttribute("aria-label", `${input.caption.textContent}, with the window. The arrow keys move it.`);
}

const roomFor = (state, most) => Math.max(120, Math.min(most, state.host.clientWidth < 700 ? state.host.clientWidth - 8 : state.host.clientWidth * 0.2));
const GUTTER = 28; // as in the style sheet

// What input and output leave between them; all where the panels stand below each other.
function roomBetween({ host, panel: { input, output } }) {
  if (host.clientWidth < 760) return host.clientWidth - 8;
  const taken = [input, output].filter(({ part }) => !part.hidden).reduce((all, { canvas }) => all + parseFloat(canvas.style.width) + GUTTER, 0);
  return Math.max(220, host.clientWidth - taken - 4);
}

function shadeOutside(context, state, { top, left, height, width, dy, dx }, scale, columns, rows) {
  const wide = ((width - 1) * dx + 1) * scale, tall = ((height - 1) * dy + 1) * scale;
  context.fillStyle = state.colors.paper;
  context.globalAlpha = 0.45;
  context.beginPath();
  context.rect(0, 0, columns * scale, rows * scale);
  context.rect(left * scale, top * scale, wide, tall);
  context.fill("evenodd");
  context.globalAlpha = 1;
}

// A vector as a grid of cells, the one in turn marked.
function drawVector(state, terms, room) {
  const { panel: { input }, layer } = state, count = terms.reads.length, across = Math.ceil(Math.sqrt(count)), cell = Math.min(34, room / across);
  const context = sized(input.canvas, across * cell, Math.ceil(count / across) * cell), { stage } = terms.reads[0], scale = scaleOf(state, stage);
  const values = Float32Array.from(terms.reads, (read) => mapValues(state, read.stage, read.channel)[0]);
  const filled = new Float32Array(across * Math.ceil(count / across)).fill(scale.low);
  filled.set(values);
  context.drawImage(valueCanvas(filled, across, Math.ceil(count / across), scale), 0, 0, across * cell, Math.ceil(count / across) * cell);
  context.clearRect(((count - 1) % across + 1) * cell, Math.floor((count - 1) / across) * cell, across * cell, cell);
  context.strokeStyle = state.colors.mark;
  context.lineWidth = 2.5;
  context.strokeRect((layer.input % across) * cell + 1, Math.floor(layer.input / across) * cell + 1, cell - 2, cell - 2);
  layer.inputScale = cell;
  layer.across = across;
  input.caption.textContent = `${terms.reads[0].stage.title}: unit ${layer.input + 1} of ${count.toLocaleString("en")}`;
  input.canvas.setAttribute("aria-label", `${input.caption.textContent}. The arrow keys go from one to the next.`);
}

// Window × kernel = products, as grids with their numbers where these can be read.
function drawTerms(state, terms) {
  const { panel: { terms: panel }, layer: { stage, input } } = state;
  panel.part.hidden = stage.kind === "pointwise" && !hasCurve(terms);
  if (stage.kind === "softmax") return drawSoftmax(state);
  const { window, weights, size } = terms, read = terms.reads[input], patch = patchOf(state, read, window);
  const grids = [{ title: "window", values: patch, scale: scaleOf(state, read.stage) }];
  const kernel = weights?.subarray(input * size, (input + 1) * size);
  if (kernel) {
    const radial = stage.kind === "radial_basis";
    const products = kernel.map((weight, i) => (radial ? -((orZero(patch[i]) - weight) ** 2) : orZero(patch[i]) * weight));
    grids.push({ title: radial ? "code" : "kernel", sign: radial ? "−" : "×", values: kernel, scale: weightScale(state, weights) });
    grids.push({ title: radial ? "− squared" : "products", sign: "=", values: products, scale: weightScale(state, products) });
  }
  const room = Math.min(760, roomBetween(state)), sign = 22, named = size === 1 ? ["value", "weight", "product"] : [];
  grids.forEach((grid, i) => { grid.title = named[i] ?? grid.title; });
  const cell = Math.max(3, Math.min(window.width <= 3 ? 66 : 46, (room - sign * (grids.length - 1)) / grids.length / window.width, 230 / window.height));
  const context = sized(panel.canvas, Math.max(180, grids.length * window.width * cell + sign * (grids.length - 1)), window.height * cell + 22);
  grids.forEach((grid, i) => drawGrid(state, context, grid, window, cell, i * (window.width * cell + sign), terms.winner, i === 0));
  panel.caption.textContent = terms.parts && kernel && terms.reads.length > 1
    ? `Input ${input + 1} of ${terms.reads.length.toLocaleString("en")} adds ${plainly(fourDigits(terms.parts[input]))}` : "";
}

function drawGrid(state, context, { title, values, scale, sign }, { width, height }, cell, left, winner, first) {
  context.fillStyle = state.colors.text;
  context.font = fontOf(state, 13);
  context.textAlign = "left";
  if (sign) { context.font = fontOf(state, 16); context.fillText(sign, left - 16, 20 + (height * cell) / 2 + 5); context.font = fontOf(state, 13); }
  if (width * cell > 44) context.fillText(title, left, 12);
  context.imageSmoothingEnabled = false;
  context.drawImage(valueCanvas(values.map(orZero), width, height, scale), left, 20, width * cell, height * cell);
  frame(context, { left, top: 20, width: width * cell, height: height * cell }, state.colors.line);
  values.forEach((value, i) => {
    const x = left + (i % width) * cell, y = 20 + Math.floor(i / width) * cell;
    if (Number.isNaN(value)) hatch(context, state, x, y, cell);
    if (cell >= NUMBERS_FROM && !Number.isNaN(value)) {
      context.fillStyle = readable(scale, value);
      context.font = fontOf(state, Math.min(cell > 38 ? 13 : 11, cell / 2.6 / state.text));
      context.textAlign = "center";
      context.fillText(short(value), x + cell / 2, y + cell / 2 + 4);
    }
    if (first && i === winner) { context.strokeStyle = state.colors.mark; context.lineWidth = 3; context.strokeRect(x + 1.5, y + 1.5, cell - 3, cell - 3); }
  });
  context.textAlign = "left";
}

function hatch(context, state, x, y, cell) {
  context.fillStyle = state.colors.paper;
  context.fillRect(x, y, cell, cell);
  context.strokeStyle = state.colors.line;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, y + cell);
  context.lineTo(x + cell, y);
  context.stroke();
}

const short = (value) => {
  const size = Math.abs(value), text = size >= 100 ? size.toFixed(0) : size >= 10 ? size.toFixed(1) : size.toFixed(2);
  return (value < 0 && Number(text) !== 0 ? "−" : "") + text.replace(/^0\./, ".").replace(/^\.00$/, "0");
};

// Black or white, whichever can be read on a value's color.
function readable({ low, high, table }, value) {
  const level = Math.max(0, levelOf(value, low, high, table.length / 3));
  const [red, green, blue] = table.subarray(3 * level, 3 * level + 3);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#111" : "#fff";
}

// A bar an input: its part of the sum.
function drawBars(state, terms) {
  const { panel: { bars }, layer: { stage, input } } = state;
  bars.hidden = !terms.parts || terms.reads.length < 2;
  if (bars.hidden) return;
  const width = Math.min(760, roomBetween(state)), height = 84, count = terms.parts.length;
  const context = sized(bars, width, height + 18), pitch = width / count, most = Math.max(1e-12, ...terms.parts.map(Math.abs));
  const middle = height / 2;
  const upTo = state.layer.revealed !== null && stage.shape[1] * stage.shape[2] === 1 ? state.layer.revealed : count;
  terms.parts.forEach((part, i) => {
    context.globalAlpha = i > upTo ? 0.2 : 1;
    context.fillStyle = i === input ? state.colors.mark : part >= 0 ? state.colors.positive : state.colors.negative;
    const tall = (Math.abs(part) / most) * (middle - 3);
    context.fillRect(i * pitch + (pitch > 4 ? 1 : 0), part >= 0 ? middle - tall : middle, Math.max(1, pitch - (pitch > 4 ? 2 : 0)), Math.max(1, tall));
  });
  context.fillStyle = state.colors.text;
  context.globalAlpha = 0.5;
  context.fillRect(0, middle, width, 1);
  context.globalAlpha = 0.85;
  context.font = fontOf(state, 13);
  context.fillText(fitted(context, upTo < count
    ? `Sum of the first ${upTo + 1}: ${plainly(fourDigits(terms.parts.slice(0, upTo + 1).reduce((all, part) => all + part, 0)))}`
    : `What each of the ${count.toLocaleString("en")} inputs adds; click one to see it`, width), 0, height + 14);
  context.globalAlpha = 1;
  bars.setAttribute("aria-valuemin", 1);
  bars.setAttribute("aria-valuemax", count);
  bars.setAttribute("aria-valuenow", input + 1);
  bars.setAttribute("aria-valuetext", `Input ${input + 1} of ${count}: ${nameOf(state, terms.reads[input].stage, terms.reads[input].channel)} adds ${plainly(fourDigits(terms.parts[input]))}`);
}

// The map after each step (sum, normalization, activation), the cell marked in each; below them the activation's curve.
function drawOutput(state, terms) {
  const { panel: { output }, layer: view } = state, { stage, channel, cell } = view, [, height, width] = stage.shape;
  output.part.hidden = stage.kind === "softmax";
  if (output.part.hidden) return;
  const single = height * width === 1, places = single ? [] : stage.layers.filter((_, i) => i === 0 || i === stage.layers.length - 1);
  const step = hasCurve(terms), narrow = state.host.clientWidth < 420, side = single ? 0 : roomFor(state, 300) * (places.length > 1 ? (narrow ? 0.46 : 0.76) : 1);
  const scale = side / Math.max(width, height), wide = width * scale, tall = single ? 0 : 20 + height * scale, curve = step ? CURVE : 0;
  const across = Math.max(step ? CURVE_WIDE : 60, places.length * (wide + GAP_MAPS) - GAP_MAPS);
  const context = sized(output.canvas, across, tall + (step ? curve + 30 : 0) + 2);
  context.font = fontOf(state, 13);
  view.outputBoxes = [];
  places.forEach((place, i) => {
    const left = i * (wide + GAP_MAPS), top = 20, last = i === places.length - 1;
    const values = state.outputs[place].values.subarray(channel * height * width, (channel + 1) * height * width);
    const colors = last ? scaleOf(state, stage) : scaleFor(state, ...extremes(values));
    context.fillStyle = state.colors.text;
    const title = last && places.length > 1 ? `after ${wordOf(state.program.layers[place])}` : last ? "output" : stage.kind === "conv2d" ? "sums" : "before";
    context.fillText(fitted(context, title, wide), left, top - 7);
    context.imageSmoothingEnabled = false;
    context.drawImage(valueCanvas(values, width, height, colors), left, top, wide, height * scale);
    if (view.revealed !== null) coverAhead(context, state, view.revealed, { left, top, scale, width, height });
    context.strokeStyle = state.colors.mark;
    context.lineWidth = 2.5;
    context.strokeRect(left + cell.x * scale, top + cell.y * scale, scale, scale);
    frame(context, { left, top, width: wide, height: height * scale }, state.colors.line);
    view.outputBoxes.push({ left, top, scale });
  });
  if (step) drawCurve(context, state, step, 0, tall + 22, CURVE_WIDE, curve);
  output.caption.textContent = `${single ? "Its value" : `Value at row ${cell.y + 1}, column ${cell.x + 1}`}: ${about(state)}${plainly(fourDigits(terms.value))}`;
}

const CURVE = 72, CURVE_WIDE = 170, GAP_MAPS = 14;
const hasCurve = (terms) => terms.steps.find(({ layer }) => layer.op === "activation");

// While it plays: what is still to come is covered.
function coverAhead(context, state, upTo, { left, top, scale, width, height }) {
  context.fillStyle = state.colors.paper;
  context.globalAlpha = 0.88;
  const row = Math.floor(upTo / width), column = upTo % width;
  context.fillRect(left + (column + 1) * scale, top + row * scale, (width - column - 1) * scale, scale);
  context.fillRect(left, top + (row + 1) * scale, width * scale, (height - row - 1) * scale);
  context.globalAlpha = 1;
}

// The activation as a curve, and the point where this value is.
function drawCurve(context, state, { layer, word, before, value }, left, top, wide, tall) {
  const reach = Math.max(1, Math.abs(before) * 1.25), apply = ACTIVATIONS[layer.function];
  const ends = [apply(-reach), apply(reach), 0], low = Math.min(...ends), high = Math.max(...ends, low + 1e-6);
  const px = (x) => left + ((x + reach) / (2 * reach)) * wide, py = (y) => top + tall - ((y - low) / (high - low)) * (tall - 4) - 2;
  context.fillStyle = context.strokeStyle = state.colors.text;
  context.fillText(`${word}(${plainly(fourDigits(before))}) = ${plainly(fourDigits(value))}`, left, top - 7);
  context.globalAlpha = 0.35;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(left, py(0)); context.lineTo(left + wide, py(0));
  context.moveTo(px(0), top); context.lineTo(px(0), top + tall);
  context.stroke();
  context.globalAlpha = 1;
  context.lineWidth = 2;
  context.beginPath();
  for (let i = 0; i <= 60; i++) { const x = -reach + (i / 30) * reach; context[i ? "lineTo" : "moveTo"](px(x), py(apply(x))); }
  context.stroke();
  context.fillStyle = state.colors.mark;
  context.beginPath();
  context.arc(px(before), py(value), 5, 0, 2 * Math.PI);
  context.fill();
}
