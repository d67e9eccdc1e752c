// Layout: levels are laid out from the innermost outwards, then moved to their positions.

const SIZE = { node: 40, closed: 46, header: 24, pad: 14, letter: 6.7, small: 5.9, least: 96, most: 208 };

// { items: [{ id, type: "node" | "closed" | "open", x, y, w, h, depth, rank, … }], lines, links, w, h }.
// `limit` is the height beyond which a level is cut into columns. `shown` is what `visibleGraph` gave for the
// state; it may be laid out more than once.
function layoutGraph(graph, state, limit, shown = visibleGraph(graph, state)) {
  const { links, levels } = shown;
  const boxes = new Map();
  const placed = new Map();
  const measure = (container, room) => {
    const level = levels.get(container);
    for (const id of level.ids) {
      const open = isContainer(id) && levels.has(numberOf(id));
      if (open) measure(numberOf(id), room - SIZE.header - 2 * SIZE.pad);
      boxes.set(id, open ? openBox(graph, id, placed.get(numberOf(id)), state) : closedBox(graph, id, state));
    }
    const ports = ["in", "out"].filter((port) => level.edges.some((edge) => edge.includes(port)));
    level.ranked ??= rankLevel([...level.ids, ...ports], level.edges);
    const port = { w: 0, h: 0, inX: 0, outX: 0 };
    placed.set(container, placeLevel(level.ranked, (id) => boxes.get(id) ?? port, Math.max(room, 240)));
  };
  measure(-1, limit);
  const picture = { items: [], lines: [], links, w: placed.get(-1).w, h: placed.get(-1).h };
  collect({ levels, boxes, placed }, -1, { x: 0, y: 0, depth: 0 }, picture);
  return picture;
}

function collect(parts, container, origin, picture) {
  const { at, routes, rank } = parts.placed.get(container);
  for (const id of parts.levels.get(container).ids) {
    const box = parts.boxes.get(id);
    const open = isContainer(id) && parts.levels.has(numberOf(id));
    const x = origin.x + at.get(id).x;
    const y = origin.y + at.get(id).y;
    const type = open ? "open" : isContainer(id) ? "closed" : "node";
    picture.items.push({ ...box, id, type, x, y, depth: origin.depth, rank: rank.get(id), parent: container });
    if (!open) continue;
    const inside = { x: x + box.offset, y: y + SIZE.header + SIZE.pad / 2, depth: origin.depth + 1 };
    collect(parts, numberOf(id), inside, picture);
  }
  const port = (id) => id === "in" || id === "out";
  for (const { from, to, back, leaves, points } of routes) {
    const moved = points.map(([x, y]) => [origin.x + x, origin.y + y]);
    if (from === "in" && !leaves) moved[0][1] -= SIZE.pad / 2;
    if (to === "out") moved.at(-1)[1] += SIZE.pad;
    const training = [from, to].some((id) => parts.boxes.get(id)?.training);
    const arrow = !port(to) && !(isContainer(to) && parts.levels.has(numberOf(to)));
    picture.lines.push({ from, to, back, points: moved, training, arrow, container });
  }
}

function openBox(graph, id, inner, state) {
  const text = textOf(graph, id, state);
  const least = text.label.length * SIZE.letter + (text.note.length + 4) * SIZE.small + 40;
  const w = Math.max(inner.w + 2 * SIZE.pad, least);
  const offset = (w - inner.w) / 2;
  const port = (name) => offset + (inner.at.get(name)?.x ?? inner.w / 2);
  const h = inner.h + SIZE.header + 1.5 * SIZE.pad;
  return { ...text, w, h, offset, inX: port("in"), outX: port("out") };
}

function closedBox(graph, id, state) {
  const text = textOf(graph, id, state);
  const extra = isContainer(id) ? 26 : 0;
  const wide = Math.max(text.label.length * SIZE.letter + extra, text.note.length * SIZE.small) + 30;
  const w = Math.round(Math.min(SIZE.most, Math.max(SIZE.least, wide)));
  return { ...text, w, h: isContainer(id) ? SIZE.closed : SIZE.node, inX: w / 2, outX: w / 2 };
}

// An item's content: label, a second line, the kinds inside, repetitions, its row.
function textOf(graph, id, state) {
  if (!isContainer(id)) {
    const { label, shape, kind, training, row } = graph.nodes[numberOf(id)];
    return { label, note: shape, kinds: [kind], training, row, repeats: 1, name: row };
  }
  const container = graph.containers[numberOf(id)];
  const run = foldedRun(graph, container.id, state);
  const nodes = container.inside.map((node) => graph.nodes[node]);
  return {
    label: shortName(container.name),
    note: [wordFor(container.type), outputShape(graph, run ? run.at(-1) : container.id)].filter(Boolean).join(" · "),
    kinds: nodes.map((node) => node.kind),
    training: nodes.every((node) => node.training),
    repeats: run ? run.length : 1,
    name: container.name,
    row: container.name,
  };
}

function outputShape(graph, container) {
  const { output, inside } = graph.containers[container];
  return graph.nodes[output ?? inside.at(-1)].shape;
}

// A container's type, omitted for sequences, which are evident from the drawing.
function wordFor(type) {
  return /^(Sequential|ModuleList|ModuleDict)$/.test(type) ? "" : type.replace(/^_+/, "");
}

// A number alone is ambiguous: features.4 rather than 4.
function shortName(name) {
  const parts = name.split(".");
  return parts.slice(/^\d+$/.test(parts.at(-1)) ? -2 : -1).join(".");
}

