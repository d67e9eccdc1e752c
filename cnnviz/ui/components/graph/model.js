// The graph's data parsed: nodes, containers and runs of equal blocks.
// All functions here are pure. Containers are numbered with parents before children; -1 is the model itself.

function readGraph(data) {
  const containers = data.containers.map(([name, type, parent, repeatOf], id) => (
    { id, name, type, parent, repeatOf, inside: [] }
  ));
  const nodes = data.nodes.map(([row, label, kind, container, shape, training], id) => (
    { id, row: id < 2 ? null : row, label, kind: data.kinds[kind], container, shape, training: Boolean(training) }
  )); // the input and the output of the model are no rows
  for (const container of containers) container.path = [...(containers[container.parent]?.path ?? []), container.id];
  for (const node of nodes) for (const id of pathTo({ containers }, node.container)) containers[id].inside.push(node.id);
  const edges = [];
  for (let i = 0; i < data.edges.length; i += 2) edges.push([data.edges[i], data.edges[i + 1]]);
  const graph = { nodes, containers, edges };
  graph.runs = findRuns(graph);
  for (const run of graph.runs.values()) for (const id of run) containers[id].run = run;
  for (const [from, to] of edges) markOutputs(graph, from, to);
  return graph;
}

// The containers around something that lies in `container`, outermost first.
function pathTo(graph, container) {
  return container < 0 ? [] : graph.containers[container].path;
}

// A container's output is that of its last node whose values leave it.
function markOutputs(graph, from, to) {
  const around = pathTo(graph, graph.nodes[to].container);
  for (const id of pathTo(graph, graph.nodes[from].container)) {
    if (!around.includes(id)) graph.containers[id].output = Math.max(from, graph.containers[id].output ?? from);
  }
}

// Runs of equal siblings by the number of their first: [first, second, …]. Blocks that do not hold equally
// many nodes could not stand for each other, whatever they were said to repeat.
function findRuns(graph) {
  const runs = new Map();
  for (const { id, repeatOf, parent, inside } of graph.containers) {
    const first = graph.containers[repeatOf];
    if (!first || first.parent !== parent || first.inside.length !== inside.length) continue;
    if (!runs.has(repeatOf)) runs.set(repeatOf, [repeatOf]);
    runs.get(repeatOf).push(id);
  }
  return runs;
}

// The run that a container belongs to and that is folded into its first member, or undefined.
function foldedRun(graph, container, state) {
  const { run } = graph.containers[container];
  return run && !state.unfolded.has(run[0]) ? run : undefined;
}

// The node that is drawn for `node`: its counterpart in the first block of every folded run around it.
function imageOf(graph, node, state) {
  for (const id of pathTo(graph, graph.nodes[node].container)) {
    const run = foldedRun(graph, id, state);
    if (run && run[0] !== id) {
      const position = graph.containers[id].inside.indexOf(node);
      return imageOf(graph, graph.containers[run[0]].inside[position], state);
    }
  }
  return node;
}

// What is drawn for a node that is itself an image: the outermost closed container around it, or itself.
// Items are named "n3" (node 3) and "c3" (container 3).
function itemOf(graph, node, state) {
  const closed = pathTo(graph, graph.nodes[node].container).find((id) => !state.open.has(id));
  return closed === undefined ? `n${node}` : `c${closed}`;
}

function isContainer(item) {
  return item[0] === "c";
}

function numberOf(item) {
  return Number(item.slice(1));
}

// The container directly around an item.
function parentOf(graph, item) {
  const id = numberOf(item);
  return isContainer(item) ? graph.containers[id].parent : graph.nodes[id].container;
}
