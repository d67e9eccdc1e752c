// Tile size: whole pixels per cell, as many as let all channels fit the width and the screen's height.
const GAP = 2, TALLEST = 430, LARGEST = 200, COARSEST = 32;

function layoutOf(count, height, width, room) {
  const at = (zoom) => {
    const tile = { width: width * zoom, height: height * zoom };
    const most = Math.max(1, Math.min(count, Math.floor((room + GAP) / (tile.width + GAP))));
    const rows = Math.ceil(count / most), columns = Math.ceil(count / rows); // as even as can be
    return { zoom, tile, columns, rows, width: columns * (tile.width + GAP) - GAP, height: rows * (tile.height + GAP) - GAP };
  };
  const most = Math.max(1, Math.min(COARSEST, Math.floor(LARGEST / Math.max(height, width))));
  let best = null, score = 0;
  for (let zoom = most; zoom > 1; zoom--) {
    const found = at(zoom), worth = (zoom * zoom * count) / (found.rows * found.columns); // large, and few places empty
    if (found.height <= TALLEST && found.width <= room && worth > score) [best, score] = [found, worth];
  }
  if (best) return best;
  const whole = at(1);
  return whole.width <= room ? whole : at(room / width); // a map wider than the screen
}

const cornerOf = (layout, place) => ({
  left: (place % layout.columns) * (layout.tile.width + GAP),
  top: Math.floor(place / layout.columns) * (layout.tile.height + GAP),
});

// The tile and cell at a point; null on a gap.
function under(layout, x, y, count) {
  const column = Math.floor(x / (layout.tile.width + GAP)), row = Math.floor(y / (layout.tile.height + GAP));
  const place = row * layout.columns + column;
  const corner = cornerOf(layout, place);
  const cell = { x: Math.floor((x - corner.left) / layout.zoom), y: Math.floor((y - corner.top) / layout.zoom) };
  const inside = column >= 0 && column < layout.columns && row >= 0 && place < count
    && x - corner.left < layout.tile.width && y - corner.top < layout.tile.height;
  return inside ? { place, ...cell } : null;
}
