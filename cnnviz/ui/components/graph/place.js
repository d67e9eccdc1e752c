// Coordinates of the items of a level, in columns when one would be too tall. Pure functions.
// A box is { w, h, inX, outX }: its size and where, from its left side, edges enter above and leave below.

const GAP = { rank: 26, item: 20, bend: 12, column: 52, turn: 14 };

// Positions that come nearest to `wanted` (least squares, weighted) while neighbors keep `apart[i]` between i
// and i+1: the pool-adjacent-violators algorithm on positions less the room that those before them need.
function spread(wanted, apart, weights = wanted.map(() => 1)) {
  const pools = [];
  let shift = 0;
  wanted.forEach((want, i) => {
    if (i) shift += apart[i - 1];
    let pool = { sum: (want - shift) * weights[i], weight: weights[i], n: 1 };
    while (pools.length && pools.at(-1).sum / pools.at(-1).weight > pool.sum / pool.weight) {
      const before = pools.pop();
      pool = { sum: before.sum + pool.sum, weight: before.weight + pool.weight, n: before.n + pool.n };
    }
    pools.push(pool);
  });
  const positions = [];
  shift = 0;
  for (const { sum, weight, n } of pools) {
    for (let k = 0; k < n; k++) {
      if (positions.length) shift += apart[positions.length - 1];
      positions.push(sum / weight + shift);
    }
  }
  return positions;
}

// The left side of every item of some consecutive ranks, from 0.
function placeAcross(layers, segments, boxOf, bends) {
  const within = new Set(layers.flat());
  const near = segments.filter(([from, to]) => within.has(from) && within.has(to));
  const up = neighbours(near, 1, 0);
  const down = neighbours(near, 0, 1);
  const x = new Map();
  const gap = (a, b) => (bends.has(a) || bends.has(b) ? GAP.bend : GAP.item);
  const settle = (layer, wanted) => {
    const apart = layer.slice(1).map((id, i) => boxOf(layer[i]).w + gap(layer[i], id));
    const weights = layer.map((id) => (bySide(id, boxOf, bends) ? 0.01 : 1));
    spread(wanted, apart, weights).forEach((left, i) => x.set(layer[i], left));
  };
  for (const layer of layers) settle(layer, layer.map(() => 0));
  const pull = (id, above) => {
    const others = (above ? up : down).get(id) ?? [];
    // A straight main line matters more than a straight by-pass.
    const main = others.filter((other) => !bySide(other, boxOf, bends));
    const chosen = bySide(id, boxOf, bends) || !main.length ? others : main;
    const own = above ? boxOf(id).inX : boxOf(id).outX;
    return chosen.map((other) => x.get(other) + (above ? boxOf(other).outX : boxOf(other).inX) - own);
  };
  const mean = (values, otherwise) => (values.length ? values.reduce((a, b) => a + b) / values.length : otherwise);
  for (let sweep = 0; sweep < 8; sweep++) {
    const last = sweep >= 6;
    const run = sweep % 2 ? [...layers].reverse() : layers;
    for (const layer of run) {
      settle(layer, layer.map((id) => {
        const pulls = last ? [...pull(id, true), ...pull(id, false)] : pull(id, sweep % 2 === 0);
        return mean(pulls, x.get(id));
      }));
    }
  }
  straighten(layers, near, boxOf, bends, x);
  const left = Math.min(...x.values());
  for (const [id, at] of x) x.set(id, at - left);
  return x;
}

// Chains without a fork, and by-passes, are drawn as straight lines where nothing stands in their way.
function straighten(layers, segments, boxOf, bends, x) {
  const beside = new Map();
  for (const layer of layers) layer.forEach((id, i) => beside.set(id, [layer[i - 1], layer[i + 1]]));
  const gap = (a, b) => (bends.has(a) || bends.has(b) ? GAP.bend : GAP.item);
  const fits = (id, at) => {
    const [before, after] = beside.get(id);
    const clear = !before || at >= x.get(before) + boxOf(before).w + gap(before, id) - 0.01;
    return clear && (!after || at + boxOf(id).w + gap(id, after) <= x.get(after) + 0.01);
  };
  const middle = (id) => x.get(id) + boxOf(id).inX;
  for (const chain of [...chainsOf(layers, segments, (id) => bySide(id, boxOf, bends)), ...trunksOf(layers, bends)]) {
    const lines = chain.map(middle);
    const mean = lines.reduce((a, b) => a + b) / lines.length;
    const nearest = [...new Set([...lines, mean])].sort((a, b) => Math.abs(a - mean) - Math.abs(b - mean));
    const line = nearest.find((at) => chain.every((id) => fits(id, at - boxOf(id).inX)));
    if (line !== undefined) for (const id of chain) x.set(id, line - boxOf(id).inX);
  }
}

// Whether something is off the main line: a by-pass, or what serves training only.
function bySide(id, boxOf, bends) {
  return bends.has(id) || Boolean(boxOf(id).training);
}

function chainsOf(layers, segments, aside) {
  const main = segments.filter((segment) => !segment.some(aside));
  const up = neighbours(main, 1, 0);
  const down = neighbours(main, 0, 1);
  const only = (map, id) => (map.get(id)?.length === 1 ? map.get(id)[0] : undefined);
  const chains = new Map();
  for (const id of layers.flat().filter((other) => !aside(other))) {
    const before = only(up, id);
    const chain = before !== undefined && only(down, before) === id ? chains.get(before) : [];
    chain.push(id);
    chains.set(id, chain);
  }
  return [...new Set(chains.values())].sort((a, b) => b.length - a.length);
}

function trunksOf(layers, bends) {
  const trunks = new Map();
  for (const id of layers.flat().filter((other) => bends.has(other))) {
    const source = id.split("@")[0];
    trunks.set(source, [...(trunks.get(source) ?? []), id]);
  }
  return trunks.values();
}

// One level, already in ranks: { w, h, at: Map id -> { x, y }, routes: [{ from, to, back, points }], rank: Map id -> number }.
function placeLevel({ layers, segments, routes, bends }, boxOf, limit) {
  const box = (id) => (bends.has(id) ? { w: 0, h: 0, inX: 0, outX: 0 } : boxOf(id));
  const heights = layers.map((layer) => Math.max(...layer.map((id) => box(id).h)));
  const columns = columnsOf(layers, segments, heights, limit, bends);
  const at = new Map();
  const columnOf = new Map();
  const frames = [];
  const top = columns.length > 1 ? GAP.turn * 2 : 0;
  let left = 0;
  for (const ranks of columns) {
    const mine = ranks.map((r) => layers[r]);
    const x = placeAcross(mine, segments, box, bends);
    let y = top;
    for (const r of ranks) {
      for (const id of layers[r]) {
        at.set(id, { x: left + x.get(id), y: y + (heights[r] - box(id).h) / 2, top: y, bottom: y + heights[r] });
        columnOf.set(id, frames.length);
      }
      y += heights[r] + GAP.rank;
    }
    const right = Math.max(...mine.flat().map((id) => left + x.get(id) + box(id).w));
    frames.push({ left, right, top, bottom: y - GAP.rank });
    left = right + GAP.column;
  }
  const h = Math.max(...frames.map((frame) => frame.bottom)) + top - (at.has("out") ? GAP.rank / 2 : 0);
  if (at.has("in")) Object.assign(at.get("in"), { y: 0, top: 0, bottom: 0 });
  if (at.has("out")) Object.assign(at.get("out"), { y: h, top: h, bottom: h });
  const rank = new Map(layers.flatMap((layer, r) => layer.map((id) => [id, r])));
  const place = { at, box, columnOf, frames };
  return { w: left - GAP.column, h, at, rank, routes: routes.map((route) => ({ ...route, points: pointsOf(route, place) })) };
}

// Routes that share a trunk each begin where they leave it; only the longest draws it.
function pointsOf({ from, to, through, leaves }, { at, box, columnOf, frames }) {
  const start = [at.get(from).x + box(from).outX, at.get(from).y + box(from).h];
  const end = [at.get(to).x + box(to).inX, at.get(to).y];
  // Within a rank a line goes straight down, so that it cannot run into what stands beside.
  const arrival = [[end[0], at.get(to).top], end];
  if (leaves) return [[at.get(leaves).x, at.get(leaves).bottom], ...arrival];
  if (columnOf.get(from) === columnOf.get(to)) {
    const passed = through.flatMap((id) => [[at.get(id).x, at.get(id).top], [at.get(id).x, at.get(id).bottom]]);
    return [start, [start[0], at.get(from).bottom], ...passed, ...arrival];
  }
  const [here, there] = [frames[columnOf.get(from)], frames[columnOf.get(to)]];
  const gutter = here.right + GAP.column / 2;
  const [low, high] = [here.bottom + GAP.turn, there.top - GAP.turn];
  return [start, [start[0], low], [gutter, low], [gutter, high], [end[0], high], end];
}
