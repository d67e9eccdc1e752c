// Logarithmic axes. Pure functions.

const FRAME = { left: 54, right: 18, top: 14, bottom: 42 };

// { x, y }: from a number of multiply-adds and of parameters to pixels; `ticks`: the powers of ten in between.
function scales(points, width, height) {
  const span = (values) => {
    const logs = values.map(Math.log10);
    return [Math.min(...logs) - 0.25, Math.max(...logs) + 0.25];
  };
  const across = span(points.map(({ macs }) => macs));
  const up = span(points.map(({ params }) => params));
  const along = ([low, high], value) => (Math.log10(value) - low) / (high - low);
  return {
    x: (value) => FRAME.left + along(across, value) * (width - FRAME.left - FRAME.right),
    y: (value) => height - FRAME.bottom - along(up, value) * (height - FRAME.top - FRAME.bottom),
    ticks: { x: powers(across), y: powers(up) },
  };
}

function powers([low, high]) {
  const all = [];
  for (let power = Math.ceil(low); power <= high; power++) all.push(10 ** power);
  return all;
}

// 100000000 as "100 M".
function inShort(value) {
  const step = Math.min(4, Math.floor(Math.log10(value) / 3));
  return `${Math.round(value / 1000 ** step)}${["", " k", " M", " G", " T"][step]}`;
}

// Where the line of equal use (multiply-adds for each parameter) enters and leaves the frame.
function useLine(scale, times, width, height) {
  const inside = ([x, y]) => x >= FRAME.left && x <= width - FRAME.right && y >= FRAME.top && y <= height - FRAME.bottom;
  const spots = [];
  for (let power = 2; power < 13; power += 0.005) {
    const spot = [scale.x(10 ** power * times), scale.y(10 ** power)];
    if (inside(spot)) spots.push(spot);
  }
  return spots.length > 1 ? [spots[0], spots.at(-1)] : undefined;
}

// The nearest point in the direction of an arrow key, or undefined.
function neighbour(points, here, key) {
  const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[key];
  let best;
  let least = Infinity;
  for (const point of points) {
    const ahead = (point.x - here.x) * dx + (point.y - here.y) * dy;
    const aside = Math.abs((point.x - here.x) * dy) + Math.abs((point.y - here.y) * dx);
    if (point === here || ahead <= 0 || aside > 3 * ahead) continue;
    if (ahead + 2 * aside < least) [best, least] = [point, ahead + 2 * aside];
  }
  return best;
}

const REACH = 24;

// The point nearest to a position, if it is within reach of a pointer.
function nearestTo(points, x, y) {
  const far = (point) => Math.hypot(point.x - x, point.y - y);
  const best = points.reduce((a, b) => (far(b) < far(a) ? b : a));
  return far(best) <= REACH ? best : undefined;
}
