// Point labels, if there is room: the first of a list of positions that overlaps no other label and no point.

function placeLabels(points, width, height) {
  const taken = points.map(({ x, y, r }) => ({ left: x - r, right: x + r, top: y - r, bottom: y + r, point: true }));
  const wanted = [...points.filter(({ ours }) => ours), ...points.filter(({ landmark }) => landmark)];
  const labels = [];
  for (const point of wanted) {
    const size = point.title.length * 6.3;
    for (const [anchor, dx, dy] of [["start", 9, 4], ["end", -9, 4], ["middle", 0, -11], ["middle", 0, 19]]) {
      const left = point.x + dx - (anchor === "end" ? size : anchor === "middle" ? size / 2 : 0);
      const box = { left, right: left + size, top: point.y + dy - 11, bottom: point.y + dy + 3 };
      const inside = box.left >= FRAME.left && box.right <= width - 4 && box.top >= 2 && box.bottom <= height - FRAME.bottom;
      if (!inside || taken.some((other) => overlap(box, other))) continue;
      taken.push(box);
      labels.push({ point, anchor, x: point.x + dx, y: point.y + dy });
      break;
    }
  }
  return labels;
}

function overlap(a, b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}
