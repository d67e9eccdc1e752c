// Squarified treemap (Bruls, Huizing and van Wijk, 2000): parts, largest first, laid in strips along the
// shorter side as long as that brings them nearer to squares. Returns [part, x, y, width, height].
function squarify(parts, x, y, width, height) {
  const total = parts.reduce((sum, part) => sum + part.value, 0);
  const scale = (width * height) / (total || 1);
  const rest = [...parts].sort((a, b) => b.value - a.value);
  const placed = [];
  while (rest.length) {
    const side = Math.min(width, height);
    let strip = [rest.shift()], area = strip[0].value * scale;
    while (rest.length && worst([...strip, rest[0]], area + rest[0].value * scale, side, scale) <= worst(strip, area, side, scale)) {
      strip.push(rest.shift());
      area += strip.at(-1).value * scale;
    }
    const thick = side ? area / side : 0;
    let along = 0;
    for (const part of strip) {
      const length = thick ? (part.value * scale) / thick : 0;
      placed.push(width >= height ? [part, x, y + along, thick, length] : [part, x + along, y, length, thick]);
      along += length;
    }
    if (width >= height) { x += thick; width -= thick; } else { y += thick; height -= thick; }
  }
  return placed;
}

function worst(strip, area, side, scale) {
  const sizes = strip.map((part) => part.value * scale);
  const square = (side * side) / (area * area);
  return Math.max(square * Math.max(...sizes), 1 / (square * Math.min(...sizes)));
}
