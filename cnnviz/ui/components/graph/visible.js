// Visible part of the graph: containers open or closed, runs folded or not, and edges between
// what is left. `state` is { open: Set of container numbers, unfolded: Set of first members of runs }.

// { links: [[item, item]], levels: Map of open container (-1: the model) -> { ids, edges } }. In a level's
// edges "in" and "out" stand for what lies outside of the container.
function visibleGraph(graph, state) {
  const items = graph.nodes.map((node) => itemOf(graph, imageOf(graph, node.id, state), state));
  const levels = new Map([[-1, { ids: [], edges: [] }]]);
  for (const item of new Set(items)) addToLevels(graph, levels, item);
  const links = new Map();
  for (const [from, to] of graph.edges) {
    const key = `${items[from]} ${items[to]}`;
    if (items[from] === items[to] || links.has(key) || betweenCopies(graph, from, to, state)) continue;
    links.set(key, [items[from], items[to]]);
  }
  for (const [from, to] of links.values()) liftEdge(graph, levels, from, to);
  for (const level of levels.values()) level.edges = unique(level.edges);
  return { links: [...links.values()], levels };
}

function addToLevels(graph, levels, item) {
  const parent = parentOf(graph, item);
  if (!levels.has(parent)) {
    levels.set(parent, { ids: [], edges: [] });
    addToLevels(graph, levels, `c${parent}`);
  }
  levels.get(parent).ids.push(item);
}

// Between two members of a folded run an edge would lead from the drawn block's end back to its start.
function betweenCopies(graph, from, to, state) {
  const around = new Set(pathTo(graph, graph.nodes[to].container));
  return pathTo(graph, graph.nodes[from].container).some((id) => {
    const run = foldedRun(graph, id, state);
    return run !== undefined && run.some((other) => other !== id && around.has(other));
  });
}

// An edge is drawn in pieces, one for each container whose border it crosses and one where its ends meet.
function liftEdge(graph, levels, from, to) {
  const ups = [-1, ...pathTo(graph, parentOf(graph, from))];
  const downs = [-1, ...pathTo(graph, parentOf(graph, to))];
  let shared = 0;
  while (shared + 1 < Math.min(ups.length, downs.length) && ups[shared + 1] === downs[shared + 1]) shared++;
  const within = (path, depth, item) => (depth + 1 < path.length ? `c${path[depth + 1]}` : item);
  levels.get(ups[shared]).edges.push([within(ups, shared, from), within(downs, shared, to)]);
  for (let d = shared + 1; d < ups.length; d++) levels.get(ups[d]).edges.push([within(ups, d, from), "out"]);
  for (let d = shared + 1; d < downs.length; d++) levels.get(downs[d]).edges.push(["in", within(downs, d, to)]);
}

function unique(edges) {
  return [...new Map(edges.map((edge) => [edge.join(" "), edge])).values()];
}

function countVisible(graph, state) {
  return new Set(graph.nodes.map((node) => itemOf(graph, imageOf(graph, node.id, state), state))).size;
}

// The state with everything opened that hides the row called `row`; the same state where nothing does.
function revealRow(graph, state, row) {
  const nodes = graph.nodes.filter((node) => node.row === row);
  const shown = (node) => imageOf(graph, node.id, state) === node.id && itemOf(graph, node.id, state) === `n${node.id}`;
  if (!nodes.length || nodes.some(shown)) return state;
  const open = new Set(state.open);
  const unfolded = new Set(state.unfolded);
  for (const id of pathTo(graph, nodes[0].container)) {
    open.add(id);
    const { repeatOf } = graph.containers[id];
    if (graph.runs.get(repeatOf)?.includes(id)) unfolded.add(repeatOf);
  }
  return { ...state, open, unfolded };
}
