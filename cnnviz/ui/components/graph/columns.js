// Splitting of a level's ranks into columns. Pure functions.

// Ranks cut into columns: as many as `limit` asks for, unless one would be a mere remnant. A cut is possible
// only where a single edge leads on, so that columns read like those of a newspaper.
function columnsOf(layers, segments, heights, limit, bends) {
  const rank = new Map(layers.flatMap((layer, r) => layer.map((id) => [id, r])));
  const crossing = layers.map(() => []);
  for (const [from, to] of segments) {
    for (let r = rank.get(from); r < rank.get(to); r++) crossing[r].push([from, to]);
  }
  const canCut = (r) => crossing[r].length === 1 && crossing[r][0].every((id) => !bends.has(id) && id !== "in" && id !== "out");
  const pieces = [[0]];
  for (let r = 1; r < layers.length; r++) {
    if (canCut(r - 1)) pieces.push([r]);
    else pieces.at(-1).push(r);
  }
  const tall = (ranks) => ranks.reduce((sum, r) => sum + heights[r] + GAP.rank, 0);
  for (let most = Math.ceil(tall(pieces.flat()) / limit); most > 1; most--) {
    const columns = balanced(pieces, tall, most);
    const all = columns.map(tall);
    if (Math.min(...all) > Math.max(...all) / 4) return columns;
  }
  return [pieces.flat()];
}

// The pieces in at most `most` columns, the tallest of them as low as can be.
function balanced(pieces, tall, most) {
  for (let room = Math.max(...pieces.map(tall), tall(pieces.flat()) / most); ; room += 20) {
    const columns = [];
    for (const piece of pieces) {
      if (columns.length && tall(columns.at(-1)) + tall(piece) <= room) columns.at(-1).push(...piece);
      else columns.push([...piece]);
    }
    if (columns.length <= most) return columns;
  }
}
