// Initial view: how deep the graph is opened, and how it is split into columns.

const LIMITS = [1e9, 2400, 1600, 1200, 900, 700, 520];
const LEGIBLE = 0.72;

// { state, limit }: the deepest level of nesting that can be read in a window of this size, with at most
// `budget` boxes, and beyond it an open example of every kind of block, as long as there is room.
function firstSight(graph, budget, width, height) {
  // A narrow window is scrolled vertically.
  const room = width < 600 ? 4 * height : height;
  const judge = (open) => {
    const state = { open, unfolded: new Set() };
    if (countVisible(graph, state) > budget) return undefined;
    return { state, ...bestLimit(graph, state, width, room) };
  };
  const downTo = (deepest) => new Set(graph.containers.filter(({ path }) => path.length <= deepest).map(({ id }) => id));
  const most = Math.max(0, ...graph.containers.map(({ path }) => path.length));
  let sight = judge(new Set()) ?? { state: { open: new Set(), unfolded: new Set() }, limit: height };
  for (let deepest = 1; deepest <= most; deepest++) {
    const deeper = judge(downTo(deepest));
    if (!deeper || deeper.scale < LEGIBLE) break;
    sight = deeper;
  }
  return withExamples(graph, sight, judge);
}

function withExamples(graph, sight, judge) {
  const { open } = sight.state;
  const seen = new Set([...open].map((id) => graph.containers[id].type));
  for (const { id, type, parent } of graph.containers) {
    const { state } = sight;
    const shown = parent < 0 || open.has(parent);
    if (open.has(id) || !shown || seen.has(type) || isCopy(graph, id, state)) continue;
    seen.add(type);
    const all = graph.containers.filter(({ path }) => path.includes(id)).map((other) => other.id);
    for (const opened of [all, [id]]) {
      const more = judge(new Set([...state.open, ...opened]));
      if (!more || more.scale < LEGIBLE) continue;
      for (const other of opened) seen.add(graph.containers[other].type);
      sight = more;
      break;
    }
  }
  return sight;
}

// Whether a container is in a folded copy, and is therefore not drawn.
function isCopy(graph, container, state) {
  return pathTo(graph, container).some((id) => {
    const run = foldedRun(graph, id, state);
    return run !== undefined && run[0] !== id;
  });
}

// The height limit whose picture is largest in a window of this size, fewer columns preferred.
function bestLimit(graph, state, width, height) {
  let best = { limit: LIMITS[0], scale: 0 };
  const shown = visibleGraph(graph, state);
  for (const limit of LIMITS) {
    const { w, h } = layoutGraph(graph, state, limit, shown);
    const scale = Math.min(1, width / w, height / h);
    if (scale > best.scale * 1.08) best = { limit, scale };
  }
  return best;
}
