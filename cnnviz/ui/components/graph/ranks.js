// A level's items put into ranks, so that edges lead from one rank to the next, and into an order within
// each rank with few crossings (Sugiyama, Tagawa and Toda, 1981). Pure functions.

// { layers: [[id]], segments: [[upper, lower]], routes: [{ from, to, through: [bend], leaves, back }], bends: Set }.
// A long edge is cut at every rank it passes; edges from one source share these bends, as one trunk.
function rankLevel(ids, edges) {
  const order = new Map(ids.map((id, index) => [id, index]));
  const { forward, back } = withoutCycles(ids, edges);
  const rank = longestPaths(ids, forward);
  const { layers, segments, routes, bends } = bend(ids, forward, rank);
  for (const route of routes) route.back = back.has(`${route.from} ${route.to}`);
  const place = (id) => order.get(id) ?? Infinity;
  layers.forEach((layer) => layer.sort((a, b) => (place(a) === place(b) ? 0 : place(a) - place(b))));
  return { layers: untangle(layers, segments), segments, routes, bends };
}

// Edges that close a cycle are turned round. (Between containers there can be cycles where between layers
// there are none: a container may be left and entered again.)
function withoutCycles(ids, edges) {
  const after = new Map(ids.map((id) => [id, []]));
  for (const [from, to] of edges) after.get(from).push(to);
  const state = new Map();
  const back = new Set();
  const visit = (id) => {
    state.set(id, "open");
    for (const to of after.get(id)) {
      if (state.get(to) === "open") back.add(`${to} ${id}`);
      else if (!state.has(to)) visit(to);
    }
    state.set(id, "done");
  };
  for (const id of ids) if (!state.has(id)) visit(id);
  const turn = ([from, to]) => (back.has(`${to} ${from}`) ? [to, from] : [from, to]);
  return { forward: unique(edges.map(turn)), back };
}

function longestPaths(ids, edges) {
  const rank = new Map(ids.map((id) => [id, ids.includes("in") && id !== "in" ? 1 : 0]));
  const after = new Map(ids.map((id) => [id, []]));
  const waiting = new Map(ids.map((id) => [id, 0]));
  for (const [from, to] of edges) {
    after.get(from).push(to);
    waiting.set(to, waiting.get(to) + 1);
  }
  const orphans = ids.filter((id) => waiting.get(id) === 0 && id !== "in");
  const queue = ids.filter((id) => waiting.get(id) === 0);
  for (const id of queue) {
    for (const to of after.get(id)) {
      rank.set(to, Math.max(rank.get(to), rank.get(id) + 1));
      waiting.set(to, waiting.get(to) - 1);
      if (waiting.get(to) === 0) queue.push(to);
    }
  }
  // What depends on nothing, as a class token, stands just above what uses it.
  for (const id of orphans) {
    if (after.get(id).length) rank.set(id, Math.min(...after.get(id).map((to) => rank.get(to))) - 1);
  }
  if (ids.includes("out")) rank.set("out", Math.max(...ids.filter((id) => id !== "out").map((id) => rank.get(id))) + 1);
  return rank;
}

function bend(ids, edges, rank) {
  const layers = Array.from({ length: Math.max(0, ...rank.values()) + 1 }, () => []);
  for (const id of ids) layers[rank.get(id)].push(id);
  const bends = new Set();
  const segments = [];
  const routes = edges.map(([from, to]) => {
    const through = [];
    let last = from;
    for (let r = rank.get(from) + 1; r < rank.get(to); r++) {
      const id = `${from}@${r}`;
      if (!bends.has(id)) {
        bends.add(id);
        layers[r].push(id);
        segments.push([last, id]);
      }
      through.push(id);
      last = id;
    }
    segments.push([last, to]);
    return { from, to, through };
  });
  for (const route of routes) {
    const longest = Math.max(...routes.filter(({ from }) => from === route.from).map(({ through }) => through.length));
    const first = routes.find(({ from, through }) => from === route.from && through.length === longest);
    if (route !== first) route.leaves = route.through.at(-1);
  }
  return { layers: layers.filter((layer) => layer.length), segments, routes, bends };
}

// Sweeps down and up, each sorting every rank by the mean position of its neighbors; the best order stays.
function untangle(layers, segments) {
  const up = neighbours(segments, 1, 0);
  const down = neighbours(segments, 0, 1);
  let best = layers.map((layer) => [...layer]);
  let fewest = crossings(best, segments);
  const trial = best.map((layer) => [...layer]);
  for (let sweep = 0; sweep < 6 && fewest > 0; sweep++) {
    const downwards = sweep % 2 === 0;
    for (let i = 1; i < trial.length; i++) {
      const at = downwards ? i : trial.length - 1 - i;
      sortByMean(trial[at], trial[downwards ? at - 1 : at + 1], downwards ? up : down);
    }
    const count = crossings(trial, segments);
    if (count < fewest) {
      fewest = count;
      best = trial.map((layer) => [...layer]);
    }
  }
  return best;
}

function neighbours(segments, of, to) {
  const map = new Map();
  for (const segment of segments) {
    if (!map.has(segment[of])) map.set(segment[of], []);
    map.get(segment[of]).push(segment[to]);
  }
  return map;
}

function sortByMean(layer, fixed, near) {
  const position = new Map(fixed.map((id, index) => [id, index]));
  const weight = new Map(layer.map((id, index) => {
    const at = (near.get(id) ?? []).map((other) => position.get(other)).filter((p) => p !== undefined);
    return [id, at.length ? at.reduce((a, b) => a + b) / at.length : index];
  }));
  layer.sort((a, b) => weight.get(a) - weight.get(b));
}

function crossings(layers, segments) {
  const position = new Map();
  layers.forEach((layer, rank) => layer.forEach((id, index) => position.set(id, { rank, index })));
  const gaps = layers.map(() => []);
  for (const [from, to] of segments) {
    gaps[position.get(from).rank].push([position.get(from).index, position.get(to).index]);
  }
  let count = 0;
  for (const gap of gaps) {
    gap.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const ends = [];
    for (const [, end] of gap) {
      let at = ends.length;
      while (at > 0 && ends[at - 1] > end) at--;
      count += ends.length - at;
      ends.splice(at, 0, end);
    }
  }
  return count;
}
