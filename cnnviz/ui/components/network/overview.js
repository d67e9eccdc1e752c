// The whole network on one canvas, drawn once per image; the hovered map is highlighted on a second canvas above it.
const FEW_LINES = 700, FEW_IN_NARROW = 30, KERNEL = 26;

function overviewOf(host) {
  const scroll = element("div", "scroll"), sheet = element("div", "sheet");
  const base = element("canvas", "base", null, { "aria-hidden": "true" });
  const over = element("canvas", "over", null, { tabindex: 0, role: "application", "aria-roledescription": "map of the network" });
  sheet.append(base, over);
  scroll.append(sheet);
  host.append(scroll);
  return { scroll, sheet, base, over, selected: null };
}

// Kinds of layers in which each map reads the one of its own number; they are shown in the order of what they read.
const ONE_TO_ONE = new Set(["pool2d", "pointwise", "global_pool"]);

// New values: which maps are shown, and their pixels.
function refreshOverview(state) {
  state.stages.forEach((stage) => {
    stage.scale = null;
    const values = valuesOf(state, stage), channels = stage.shape[0];
    const few = stage.grid.count < channels && stage.kind !== "input", order = few || stage.grid.answer ? byActivity(values, stage.shape) : null;
    if (stage.grid.answer) order.sort((one, other) => values[other] - values[one]).length = stage.grid.count;
    const all = Array.from({ length: channels }, (_, i) => i), [source] = stage.sources;
    const alike = ONE_TO_ONE.has(stage.kind) && stage.sources.length === 1 && source.grid.count >= stage.grid.count;
    if (stage.grid.answer) stage.shown = order.sort((one, other) => one - other);
    else stage.shown = !few ? all : alike ? source.shown.slice(0, stage.grid.count) : order.slice(0, stage.grid.count);
    stage.places = new Map(stage.shown.map((channel, place) => [channel, place]));
    stage.sheet = stage.kind === "input" || stage.grid.answer ? null : sheetOf(state, stage);
  });
}

const boxOf = (stage, channel) => tileBox(stage, stage.kind === "input" ? 0 : stage.places.get(channel) ?? 0);
const isShown = (stage, channel) => stage.kind === "input" || stage.places.has(channel);

function drawOverview(state) {
  const { overview: { base, over, sheet }, layout, stages } = state;
  sheet.style.width = `${layout.width}px`;
  sheet.style.height = `${layout.height}px`;
  const context = sized(base, layout.width, layout.height);
  sized(over, layout.width, layout.height);
  state.colors = colorsOfTheme(state.host);
  drawGroups(state, context);
  stages.forEach((stage) => stage.parents.forEach((parent) => drawEdges(state, context, parent, stage)));
  stages.forEach((stage) => drawStage(state, context, stage));
  drawSelection(state);
}

// Larger while a page is presented, where the page sets --text.
const fontOf = ({ font, text }, size, weight = 400) => `${weight} ${size * text}px ${font}`;

function colorsOfTheme(host) {
  const style = getComputedStyle(host), read = (name) => style.getPropertyValue(name).trim();
  return { text: read("--st-text-color") || "#222", paper: read("--st-background-color") || "#fff", line: read("--st-border-color") || "#bbb", accent: read("--st-primary-color") || "#0b6472", mark: isDark(host) ? "#ffd24a" : "#c2410c",
    positive: isDark(host) ? "#ffc27d" : "#c4620a", negative: isDark(host) ? "#8ccbff" : "#0b4a8f" };
}

// A name above each column, or above the columns of a block where they are narrow.
function drawGroups(state, context) {
  const { layout, stages, program, colors } = state;
  context.textBaseline = "alphabetic";
  context.fillStyle = colors.text;
  const groups = [];
  layout.columns.forEach((column, number) => {
    const name = blockOf(column.length > 1 || layout.narrow ? column[0].name : column[0].title);
    if (groups.at(-1)?.name === name && column[0].name.includes(".")) groups.at(-1).last = number;
    else groups.push({ name, first: number, last: number });
  });
  const cutName = commonCut(groups.map((group) => group.name));
  groups.forEach(({ name, first, last }) => {
    const end = last + 1 < layout.columns.length ? layout.columns[last + 1] : null;
    const left = Math.min(...layout.columns[first].map((stage) => stage.box.left));
    const room = (end ? Math.min(...end.map((stage) => stage.box.left)) : layout.width) - left - 6;
    context.font = fontOf(state, 13, 600);
    context.fillText(fitted(context, cutName(name), room), left, 16);
    const column = layout.columns[last], single = column.length === 1 ? column[0] : null;
    context.font = fontOf(state, 12);
    context.globalAlpha = 0.78;
    context.fillText(fitted(context, columnText(column, layout.narrow && first === last), room), left, 33);
    context.globalAlpha = 1;
  });
}

// Number of output maps of a column, over all its branches.
function columnText(column, short) {
  if (column[0].kind === "softmax") return "probability";
  const [, height, width] = column[0].shape, maps = column.reduce((all, { shape }) => all + shape[0], 0);
  return short ? String(maps) : sizeText({ shape: [maps, height, width] });
}

const blockOf = (name) => (name.includes(".") ? name.split(".").slice(0, name.split(".").length > 2 ? -2 : -1).join(".") : name);

// inception_3a, inception_3b … are 3a, 3b where many begin alike.
function commonCut(names) {
  const stems = new Map();
  names.forEach((name) => { const [stem] = name.split(/[_.]/); stems.set(stem, (stems.get(stem) ?? 0) + 1); });
  return (name) => { const [stem] = name.split(/[_.]/); return stems.get(stem) >= 4 && name.length > stem.length ? name.slice(stem.length + 1) : name; };
}

function fitted(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > room) end -= 1;
  return `${text.slice(0, end)}…`;
}

const sizeText = (stage) => {
  const [channels, height, width] = stage.shape;
  return height * width === 1 ? `${channels}` : `${channels} × ${height}×${width}`;
};

function drawStage(state, context, stage) {
  const { grid } = stage, { colors } = state;
  if (stage.grid.answer) return drawAnswer(state, context, stage);
  context.imageSmoothingEnabled = false;
  if (stage.kind === "input") {
    const box = tileBox(stage, 0);
    context.drawImage(state.picture, box.left, box.top, box.width, box.height);
    return frame(context, box, colors.line);
  }
  const [, height, width] = stage.shape, { canvas, across } = stage.sheet;
  for (let place = 0; place < grid.count; place++) {
    const box = tileBox(stage, place);
    context.drawImage(canvas, (place % across) * width, Math.floor(place / across) * height, width, height, box.left, box.top, box.width, box.height);
  }
  if (grid.count < stage.shape[0]) {
    context.font = fontOf(state, 11);
    context.fillStyle = colors.text;
    context.globalAlpha = 0.78;
    const short = `${grid.count} of ${stage.shape[0]}`, long = `${short}, by activity`, room = state.layout.pitch - 4;
    const text = [long, short, `${grid.count}/${stage.shape[0]}`].find((each) => context.measureText(each).width <= room) ?? "";
    context.fillText(text, stage.box.left, stage.box.top + stage.box.height + 12);
    context.globalAlpha = 1;
  }
}

function frame(context, box, color, width = 1) {
  context.strokeStyle = color;
  context.lineWidth = width;
  context.strokeRect(box.left - width / 2, box.top - width / 2, box.width + width, box.height + width);
}

function drawAnswer(state, context, stage) {
  const values = valuesOf(state, stage), { colors } = state, most = extremes(values)[1];
  context.textBaseline = "middle";
  stage.shown.forEach((channel, place) => {
    const box = tileBox(stage, place), middle = box.top + box.height / 2, value = values[channel];
    const name = state.view.facts.classes[channel] ?? String(channel);
    context.fillStyle = colors.text;
    context.globalAlpha = 0.12;
    context.fillRect(box.left, box.top, 22, box.height);
    context.globalAlpha = 1;
    context.fillStyle = value === most ? colors.accent : colors.text;
    if (value !== most) context.globalAlpha = 0.5;
    context.fillRect(box.left, box.top + box.height * (1 - Math.max(0.02, value)), 22, box.height * Math.max(0.02, value));
    context.globalAlpha = 1;
    context.fillStyle = colors.text;
    context.font = fontOf(state, box.height < 18 ? 12 : 14, value === most ? 650 : 400);
    context.fillText(fitted(context, name, 84), box.left + 29, middle);
    context.textAlign = "right";
    context.fillText(shareText(value), box.left + box.width, middle);
    context.textAlign = "left";
  });
  context.textBaseline = "alphabetic";
}

const shareText = (value) => (value > 0.999 ? ">99.9 %" : value < 0.001 ? "<0.1 %" : `${(100 * value).toFixed(1)} %`);

// Every line between two stages where they are few, else one band.
function drawEdges(state, context, parent, stage) {
  const { colors } = state, count = parent.grid.count * stage.grid.count;
  const one = ONE_TO_ONE.has(stage.kind) || stage.kind === "add";
  context.strokeStyle = context.fillStyle = colors.text;
  if (!one && count > (state.layout.narrow ? FEW_IN_NARROW : FEW_LINES)) {
    const from = parent.box, to = stage.box, [x0, x1] = [from.left + from.width, to.left];
    context.globalAlpha = 0.08;
    context.beginPath();
    context.moveTo(x0, from.top);
    curveTo(context, x0, from.top, x1, to.top);
    context.lineTo(x1, to.top + to.height);
    curveTo(context, x1, to.top + to.height, x0, from.top + from.height);
    context.fill();
    context.globalAlpha = 1;
    return;
  }
  context.globalAlpha = one ? 0.28 : Math.max(0.07, 0.26 - count / 1200);
  context.lineWidth = 1;
  context.beginPath();
  stage.shown.slice(0, stage.grid.count).forEach((channel) => readsOf(state.program, stage, channel).forEach((read) => {
    if (read.stage === parent && isShown(parent, read.channel)) lineBetween(context, boxOf(parent, read.channel), boxOf(stage, channel), parent);
  }));
  context.stroke();
  context.globalAlpha = 1;
}

function curveTo(context, x0, y0, x1, y1) {
  const middle = (x0 + x1) / 2;
  context.bezierCurveTo(middle, y0, middle, y1, x1, y1);
}

// From the right edge of one map to the left edge of another; where maps stand in several columns, over the others.
function lineBetween(context, from, to, parent) {
  const x0 = parent ? Math.max(from.left + from.width, Math.min(parent.box.left + parent.box.width, to.left)) : from.left + from.width;
  const y0 = from.top + from.height / 2, y1 = to.top + to.height / 2;
  context.moveTo(from.left + from.width, y0);
  if (x0 > from.left + from.width) context.lineTo(x0, y0);
  curveTo(context, x0, y0, to.left, y1);
}

// Highlight: the hovered map, the maps that it reads with the weights between, and the maps that read it.
function drawSelection(state) {
  const { overview: { over, selected }, layout, colors } = state, context = over.getContext("2d");
  context.clearRect(0, 0, layout.width, layout.height);
  if (!selected) return;
  const { stage, channel } = selected, box = boxOf(stage, channel), reads = readsOf(state.program, stage, channel);
  const shown = reads.filter((read) => isShown(read.stage, read.channel));
  context.fillStyle = colors.paper;
  context.globalAlpha = 0.62;
  context.fillRect(0, HEAD - 6, layout.width, layout.height);
  context.globalAlpha = 1;
  const kernels = strengthsOf(state, stage, channel, reads);
  const most = Math.max(1e-12, ...kernels.map(({ size }) => size));
  shown.forEach((read) => {
    const weight = kernels[reads.indexOf(read)];
    context.strokeStyle = weight ? (weight.sum >= 0 ? colors.positive : colors.negative) : colors.mark;
    context.globalAlpha = weight ? 0.25 + 0.75 * (weight.size / most) : 0.8;
    context.lineWidth = weight ? 0.75 + 2.25 * (weight.size / most) : 1.5;
    context.beginPath();
    lineBetween(context, boxOf(read.stage, read.channel), box, read.stage);
    context.stroke();
  });
  context.globalAlpha = 1;
  uncover(state, context, readersOf(state, stage), false);
  shown.forEach((read) => uncoverTile(state, context, read.stage, read.channel, colors.text));
  uncoverTile(state, context, stage, channel, colors.mark, 2.5);
  if (kernels.length) drawKernels(state, context, selected, shown, reads);
}

const readersOf = (state, stage) => state.stages.filter((next) => next.parents.includes(stage));

// Stages that read the one pointed at keep their colors a little more.
function uncover(state, context, stages) {
  context.globalAlpha = 0.35;
  stages.forEach(({ box }) => copyFromBase(state, context, box));
  context.globalAlpha = 1;
}

function uncoverTile(state, context, stage, channel, color, width = 1.25) {
  const box = boxOf(stage, channel);
  copyFromBase(state, context, box);
  frame(context, box, color, width);
}

function copyFromBase({ overview: { base } }, context, { left, top, width, height }) {
  const fine = base.width / parseFloat(base.style.width);
  context.drawImage(base, left * fine, top * fine, width * fine, height * fine, left, top, width, height);
}

// Of each input's kernel its sum and its length; nothing for what has no weights, or none here yet.
function strengthsOf(state, stage, channel, reads) {
  if (!["conv2d", "linear"].includes(stage.kind)) return [];
  const weights = kernelOf(state, stage, channel);
  if (!weights) return [];
  const each = weights.length / reads.length;
  return reads.map((_, i) => {
    let sum = 0, squares = 0;
    for (let k = i * each; k < (i + 1) * each; k++) { sum += weights[k]; squares += weights[k] ** 2; }
    return { sum, size: Math.sqrt(squares) };
  });
}

// Each kernel beside the map that it is laid over.
function drawKernels(state, context, { stage, channel }, shown, reads) {
  const weights = kernelOf(state, stage, channel), scale = weightScale(state, weights), each = weights.length / reads.length;
  const layer = state.program.layers[stage.head];
  const [height, width] = stage.kind === "conv2d" ? layer.kernel : stage.sources[0].shape.slice(1);
  context.imageSmoothingEnabled = false;
  shown.forEach((read) => {
    const at = reads.indexOf(read), box = boxOf(read.stage, read.channel);
    const side = Math.min(KERNEL, state.layout.pitch * 0.24, read.stage.kind === "input" && stage.sources[0].shape[0] > 1 ? 12 : box.height);
    if (side < 5) return;
    const below = read.stage.kind === "input" ? read.channel * (side + 2) : 0;
    const where = { left: box.left + box.width + 3, top: box.top + (read.stage.kind === "input" ? 0 : (box.height - side) / 2) + below, width: side, height: side };
    context.drawImage(valueCanvas(weights.subarray(at * each, (at + 1) * each), width, height, scale), where.left, where.top, side, side);
    frame(context, where, state.colors.text, 1);
  });
}
