// Arrow keys: along edges down and up, to the nearest neighbor at the sides.

function stepFrom(picture, id, key) {
  const here = picture.items.find((item) => item.id === id);
  if (!here) return picture.items[0]?.id;
  if (key === "ArrowDown" || key === "ArrowUp") {
    const next = alongEdges(picture, here, key === "ArrowDown");
    if (next) return next;
  }
  const side = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  return nearest(picture, here, side) ?? id;
}

// The first item at the other end of an edge; a frame is left and entered through its header.
function alongEdges(picture, here, down) {
  const line = picture.lines.filter(({ from, to, back }) => !back && (down ? from : to) === here.id);
  const [edge] = line.sort((a, b) => midX(picture, down ? a.to : a.from) - midX(picture, down ? b.to : b.from));
  if (here.type === "open" && down) {
    const entry = picture.lines.find((l) => l.from === "in" && `c${l.container}` === here.id);
    if (entry) return entry.to;
  }
  if (!edge) return undefined;
  const next = down ? edge.to : edge.from;
  if (next === "in") return `c${edge.container}`;
  if (next === "out") return alongEdges(picture, { id: `c${edge.container}`, type: "left" }, true);
  const item = picture.items.find(({ id }) => id === next);
  return !down && item.type === "open" ? exitOf(picture, item) : next;
}

function exitOf(picture, frame) {
  const exit = picture.lines.find((line) => line.to === "out" && `c${line.container}` === frame.id);
  const item = exit && picture.items.find(({ id }) => id === exit.from);
  return item?.type === "open" ? exitOf(picture, item) : item?.id ?? frame.id;
}

function midX(picture, id) {
  const item = picture.items.find((other) => other.id === id);
  return item ? item.x + item.w / 2 : 0;
}

function nearest(picture, here, [dx, dy]) {
  const centre = ({ x, y, w, h, type }) => [x + w / 2, y + (type === "open" ? SIZE.header : h) / 2];
  const [hx, hy] = centre(here);
  let best;
  let least = Infinity;
  for (const item of picture.items) {
    const [x, y] = centre(item);
    const ahead = (x - hx) * dx + (y - hy) * dy;
    const aside = Math.abs((x - hx) * dy) + Math.abs((y - hy) * dx);
    if (item.id === here.id || ahead < 4 || aside > 2.5 * ahead) continue;
    if (ahead + 3 * aside < least) [best, least] = [item.id, ahead + 3 * aside];
  }
  return best;
}
