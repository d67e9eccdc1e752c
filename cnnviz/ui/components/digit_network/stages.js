// The stages that are drawn: the input, and each layer's output after its activation.
const TALL = 172, LOW = 132, GAP = 2, MAX_TILE = 84; // pixels of a stage: of maps of 20 rows and more, of smaller ones
const WORDS = {
  conv2d: (layer, before) => `Each value sums a window of ${layer.kernel.join("×")} over ${before.shape[0] === 1 ? "the image" : `${before.shape[0]} maps`}.`,
  pool2d: (layer) => `Each value is the ${layer.mode === "max" ? "largest" : "mean"} of a window of ${layer.kernel.join("×")}.`,
  linear: (_layer, before) => `Each value sums all ${before.shape.reduce((all, side) => all * side)} values before it.`,
};

// From the program and one pass through it: {name, shape, text, take}, `take` the outputs' index drawn (-1: the input).
function stagesOf(program, outputs) {
  const stages = [{ name: "input", shape: program.input, text: "The drawing, centered by its mass as MNIST’s digits are.", take: -1 }];
  let before = { shape: program.input };
  program.layers.forEach((layer, i) => {
    const { shape } = outputs[i], next = program.layers[i + 1];
    if (WORDS[layer.op] && i < program.layers.length - 1) {
      const active = next?.op === "activation";
      const name = active ? `${layer.name} + ${next.function === "relu" ? "ReLU" : next.function}` : layer.name;
      stages.push({ name, shape, text: WORDS[layer.op](layer, before), take: active ? i + 1 : i });
    }
    before = outputs[i];
  });
  return stages.map((stage) => ({ ...stage, ...gridOf(stage.shape) }));
}

// Rows and columns of tiles, and the pixels of one; a vector is a grid of single cells.
function gridOf(shape) {
  const [count, height, width] = shape.length === 3 ? shape : [shape[0], 1, 1];
  if (height * width === 1) {
    const columns = Math.max(1, Math.round(Math.sqrt(count * 0.55)));
    return { count, height, width, columns, rows: Math.ceil(count / columns), tile: 8, gap: 1 };
  }
  const columns = count === 1 ? 1 : count <= 8 ? 2 : Math.ceil(Math.sqrt(count)), rows = Math.ceil(count / columns);
  const fits = Math.min(MAX_TILE, Math.floor(((height >= 20 ? TALL : LOW) - GAP * (rows - 1)) / rows));
  const zoom = Math.max(1, Math.min(4, Math.floor(fits / height)));
  return { count, height, width, columns, rows, tile: zoom * height, gap: GAP };
}

const sizeOf = ({ columns, rows, tile, gap }) => [columns * (tile + gap) - gap, rows * (tile + gap) - gap];

// The stage with its caption; `look.point(stage, channel)` and `look.leave()` report pointer and keys.
function stageView(stage, look) {
  const figure = element("figure", "stage"), caption = element("figcaption", "", stage.name);
  const [width, height] = sizeOf(stage), { count } = stage;
  const canvas = element("canvas", "maps", null, { width, height, tabindex: 0, role: "img" });
  canvas.style.width = `${width}px`;
  const noun = stage.height * stage.width === 1 ? "values" : count === 1 ? "" : "maps";
  const size = noun === "values" ? "" : `${stage.height}×${stage.width}`;
  const amount = noun ? `${count} ${noun}` : "";
  caption.append(element("span", "", [amount, size].filter(Boolean).join(", ")));
  canvas.setAttribute("aria-label", `${stage.name}: ${[amount, size].filter(Boolean).join(" of ")}. ${stage.text}${count > 1 ? " The arrow keys go from one to the next." : ""}`);
  figure.append(canvas, caption);
  const view = { ...stage, figure, canvas, context: canvas.getContext("2d"), chosen: 0 };
  const show = (channel) => { view.chosen = channel; look.point(view, channel); };
  canvas.addEventListener("pointermove", (event) => {
    const scale = width / canvas.clientWidth, side = stage.tile + stage.gap;
    const column = Math.min(stage.columns - 1, Math.floor((event.offsetX * scale) / side));
    const channel = Math.floor((event.offsetY * scale) / side) * stage.columns + column;
    if (channel >= 0 && channel < count) show(channel);
  });
  canvas.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") look.leave(); });
  canvas.addEventListener("pointerdown", (event) => canvas.dispatchEvent(new PointerEvent("pointermove", event)));
  canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) show(view.chosen); });
  canvas.addEventListener("blur", () => look.leave());
  canvas.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: stage.columns, ArrowUp: -stage.columns }[event.key];
    if (event.key === "Escape") look.leave();
    if (!step) return;
    event.preventDefault();
    show(Math.max(0, Math.min(count - 1, view.chosen + step)));
  });
  return view;
}

// Paint a stage's values, every tile enlarged, in one piece: a canvas a tile takes ten times as long. What goes in is
// shown as it is, in grays, all else from 0 to the layer's largest.
function paintStage(view, values, table) {
  const { context, canvas, count, height, width, columns, tile, gap } = view;
  let high = view.take < 0 ? 255 : 1e-6;
  for (let i = 0; i < values.length; i++) if (values[i] > high) high = values[i];
  Object.assign(view, { values, high });
  const colors = colorsOf(view.take < 0 ? GRAYS : table), steps = colors.length, zoom = tile / height;
  const image = (view.image ??= context.createImageData(canvas.width, canvas.height));
  const pixels = new Uint32Array(image.data.buffer);
  for (let channel = 0; channel < count; channel++) {
    const corner = Math.floor(channel / columns) * (tile + gap) * canvas.width + (channel % columns) * (tile + gap);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const color = colors[Math.max(0, levelOf(values[(channel * height + y) * width + x], 0, high, steps))];
        const at = corner + y * zoom * canvas.width + x * zoom;
        for (let row = 0; row < zoom; row++) pixels.fill(color, at + row * canvas.width, at + row * canvas.width + zoom);
      }
    }
  }
  context.putImageData(image, 0, 0);
}

const GRAYS = Uint8Array.from({ length: 3 * 256 }, (_, i) => Math.floor(i / 3));
const packed = new Map();

// A table of colors as pixels lie in memory (little-endian: alpha, blue, green, red).
function colorsOf(table) {
  if (!packed.has(table)) packed.set(table, Uint32Array.from({ length: table.length / 3 }, (_, i) =>
    ((255 << 24) | (table[3 * i + 2] << 16) | (table[3 * i + 1] << 8) | table[3 * i]) >>> 0));
  return packed.get(table);
}

function tileOf(view, channel, table) {
  const { values, height, width, high, take } = view;
  return asCanvas(painted(values, channel * height * width, width, height, 0, high, take < 0 ? GRAYS : table));
}
