// Maps as pixels: a sheet a stage, each map one pixel a value; what is drawn are pieces of it. The next image's
// values go into the same sheet: a canvas takes longer to make than to fill.
function sheetOf(state, stage) {
  const { count } = stage.grid, [, height, width] = stage.shape, values = valuesOf(state, stage);
  const sheet = emptySheet(stage.sheet, Math.ceil(Math.sqrt(count)), count, width, height), { canvas, across, context, image } = sheet;
  const pixels = new Uint32Array(image.data.buffer), scale = scaleOf(state, stage);
  stage.shown.slice(0, count).forEach((channel, place) => {
    const left = (place % across) * width, top = Math.floor(place / across) * height;
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        pixels[(top + y) * canvas.width + left + x] = scale.color(values[(channel * height + y) * width + x]);
  });
  context.putImageData(image, 0, 0);
  return sheet;
}

function emptySheet(before, across, count, width, height) {
  const [right, bottom] = [across * width, Math.ceil(count / across) * height];
  if (before?.canvas.width === right && before.canvas.height === bottom) return before;
  const canvas = new OffscreenCanvas(right, bottom), context = canvas.getContext("2d");
  return { canvas, context, across, image: context.createImageData(right, bottom) };
}

// From zero to the stage's largest value, or around zero where there are negative ones.
function scaleOf(state, stage) {
  if (stage.scale) return stage.scale;
  const [low, high] = extremes(valuesOf(state, stage));
  return (stage.scale = scaleFor(state, low, high));
}

function scaleFor(state, low, high) {
  const signed = low < 0, end = signed ? Math.max(-low, high) : high;
  return scaleOver(state.tables[signed ? "diverging" : "sequential"], signed ? -end : 0, end);
}

function scaleOver(table, low, high) {
  const colors = packedColors(table), steps = colors.length, broken = (255 << 24) | (BROKEN[2] << 16) | (BROKEN[1] << 8) | BROKEN[0];
  return { low, high, table, color: (value) => colors[levelOf(value, low, high, steps)] ?? broken >>> 0 };
}

const weightScale = (state, values) => {
  const [low, high] = extremes(values), end = Math.max(-low, high, 1e-12);
  return scaleOver(state.tables.diverging, -end, end);
};

const packedTables = new Map();

// Colors as pixels lie in memory (little-endian: alpha, blue, green, red).
function packedColors(table) {
  if (!packedTables.has(table)) packedTables.set(table, Uint32Array.from({ length: table.length / 3 }, (_, i) =>
    ((255 << 24) | (table[3 * i + 2] << 16) | (table[3 * i + 1] << 8) | table[3 * i]) >>> 0));
  return packedTables.get(table);
}

// Values as a canvas of one pixel a value.
function valueCanvas(values, width, height, scale) {
  const canvas = new OffscreenCanvas(width, height), context = canvas.getContext("2d");
  const image = context.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < width * height; i++) pixels[i] = scale.color(values[i]);
  context.putImageData(image, 0, 0);
  return canvas;
}

// One map of any stage, the image as people see it.
function mapCanvas(state, stage, channel, asSeen = false) {
  if (stage.kind === "input" && (asSeen || stage.shape[0] === 1)) return state.picture;
  const [, height, width] = stage.shape;
  return valueCanvas(mapValues(state, stage, channel), width, height, scaleOf(state, stage));
}

function pictureCanvas({ shape: [height, width, channels], values }) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = values[i * channels + (channels === 1 ? 0 : c)];
    image.data[4 * i + 3] = 255;
  }
  return asCanvas(image);
}
