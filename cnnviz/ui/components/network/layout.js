// Layout of stages and maps: columns by depth, from the image to the prediction; one lane per branch in a column.
const GAP = 2, MAX_TILE = 104, MIN_TILE = 13, MIN_UNIT = 4, HEAD = 44, FOOT = 26, MIN_PITCH = 38, ANSWER = 176, ANSWER_NARROW = 150;

// Adds `column`, `lane`, `box` and `grid` to the stages, and returns {width, height, columns, groups}.
function layOut(stages, room, height) {
  const columns = columnsOf(stages), narrow = columns.length > 12;
  const answer = narrow ? ANSWER_NARROW : ANSWER, wanted = Math.max(room, (columns.length - 1) * (narrow ? MIN_PITCH : 84) + answer);
  const pitch = (wanted - answer) / (columns.length - 1), part = narrow ? 0.72 : 0.56;
  columns.forEach((column, number) => {
    const last = number === columns.length - 1, lanes = lanesOf(column), left = number * pitch;
    const width = last ? answer : Math.max(20, Math.min(pitch * part, 190));
    const all = height - HEAD - FOOT, gap = lanes > 1 ? 14 : 0, tall = (all - gap * (lanes - 1)) / lanes;
    column.forEach((stage) => {
      const top = HEAD + stage.lane * (tall + gap), space = { left: left + (narrow || last ? 0 : 4), top, width, height: tall };
      stage.grid = last && stage.kind === "softmax" ? rowsOf(stage, space) : gridIn(stage, space);
      stage.box = placed(stage.grid, space);
    });
  });
  return { width: wanted, height, pitch, narrow, columns };
}

// As late as possible, so that the ends of branches stand side by side.
function columnsOf(stages) {
  const depth = stages.map(() => 0);
  stages.forEach((stage) => { depth[stage.id] = Math.max(-1, ...stage.parents.map((parent) => depth[parent.id])) + 1; });
  const latest = stages.map(() => Math.max(...depth));
  for (const stage of [...stages].reverse()) stage.parents.forEach((parent) => { latest[parent.id] = Math.min(latest[parent.id], latest[stage.id] - 1); });
  latest[0] = 0;
  const columns = Array.from({ length: Math.max(...latest) + 1 }, () => []);
  stages.forEach((stage) => { stage.column = latest[stage.id]; columns[stage.column].push(stage); });
  const full = columns.filter((column) => column.length);
  full.forEach((column, number) => column.forEach((stage) => { stage.column = number; }));
  let ahead = [];
  for (const column of [...full].reverse()) { assignLanes(column, ahead); ahead = column; }
  return full;
}

// The lane of a branch is that of what alone reads it; where two want one, they stand in order.
function assignLanes(column, ahead) {
  const wanted = column.map((stage) => {
    const readers = ahead.filter((next) => next.parents.includes(stage));
    return readers.length === 1 && ahead.length > 1 ? readers[0].lane : null;
  });
  const clear = wanted.every((lane) => lane !== null) && new Set(wanted).size === wanted.length;
  column.lanes = clear ? Math.max(...ahead.map((stage) => stage.lane)) + 1 : column.length;
  column.forEach((stage, i) => { stage.lane = clear ? wanted[i] : i; });
}

const lanesOf = (column) => column.lanes;

// As many maps as fit, as large as they can be; `count` of them where not all fit.
function gridIn(stage, { width, height }) {
  const [channels, rows, columns] = stage.shape, single = rows * columns === 1, gap = single ? 1 : GAP;
  const least = single ? MIN_UNIT : MIN_TILE, most = single ? 14 : stage.kind === "input" ? Math.min(width, 150) : MAX_TILE;
  const shape = columns / rows, fits = (tile, across) => across * (tile * shape + gap) - gap <= width;
  const count = stage.kind === "input" ? 1 : channels;
  let best = null;
  for (let across = 1; across <= Math.min(count, 64); across++) {
    const down = Math.ceil(count / across);
    const tile = Math.min(most, (height + gap) / down - gap, ((width + gap) / across - gap) / shape);
    if (fits(tile, across) && tile >= least && (!best || tile > best.tile + 0.5)) best = { across, tile, count };
  }
  if (!best) {
    const across = Math.max(1, Math.floor((width + gap) / (least * shape + gap))), down = Math.max(1, Math.floor((height + gap) / (least + gap)));
    best = { across, tile: least, count: Math.min(count, across * down) };
  }
  return { ...best, gap, tall: best.tile, wide: best.tile * shape };
}

// The answer: a row a class, with its name and probability; the likeliest where there are many.
function rowsOf(stage, { width, height }) {
  const count = Math.min(stage.shape[0], Math.floor(height / 20)), tall = Math.min(30, height / count - 2);
  return { across: 1, count, tile: tall, gap: 2, tall, wide: width, answer: true };
}

function placed({ across, count, gap, tall, wide }, space) {
  const down = Math.ceil(count / across), width = across * (wide + gap) - gap, height = down * (tall + gap) - gap;
  return { left: space.left + (space.width - width) / 2, top: space.top + (space.height - height) / 2, width, height };
}

// The rectangle of the map at a place in its stage's grid.
function tileBox({ box, grid }, place) {
  const column = place % grid.across, row = Math.floor(place / grid.across);
  return { left: box.left + column * (grid.wide + grid.gap), top: box.top + row * (grid.tall + grid.gap), width: grid.wide, height: grid.tall };
}

function stageAt(stages, x, y) {
  for (const stage of stages) {
    const { box, grid } = stage;
    if (x < box.left || y < box.top || x >= box.left + box.width || y >= box.top + box.height) continue;
    const place = Math.floor((y - box.top) / (grid.tall + grid.gap)) * grid.across + Math.min(grid.across - 1, Math.floor((x - box.left) / (grid.wide + grid.gap)));
    if (place < grid.count) return { stage, channel: stage.shown[place] };
  }
  return null;
}
