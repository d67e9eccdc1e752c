// Pan and zoom: the view { x, y, k } translates the drawing by (x, y) and scales it by k.

const ZOOM = { least: 0.08, most: 2.5, step: 1.25, readable: LEGIBLE, margin: 14 };

function fitView({ w, h }, width, height) {
  const room = 2 * ZOOM.margin;
  const k = Math.max(ZOOM.least, Math.min(1.1, (width - room) / w, (height - room) / h));
  return { k, x: (width - w * k) / 2, y: Math.max(ZOOM.margin, (height - h * k) / 2) };
}

// The whole drawing if it is legible; else its beginning, fitted to the width.
function firstView(picture, width, height) {
  const whole = fitView(picture, width, height);
  if (whole.k >= ZOOM.readable) return whole;
  const k = Math.min(1, Math.max(ZOOM.readable, (width - 2 * ZOOM.margin) / picture.w));
  const start = picture.items[0];
  const centred = (width - picture.w * k) / 2;
  const x = centred >= 0 ? centred : Math.min(ZOOM.margin, width / 2 - (start.x + start.w / 2) * k);
  return { k, x, y: ZOOM.margin };
}

// Zoom by `factor` around the point (px, py) of the window.
function zoomAt(view, factor, px, py) {
  const k = Math.min(ZOOM.most, Math.max(ZOOM.least, view.k * factor));
  return { k, x: px - ((px - view.x) * k) / view.k, y: py - ((py - view.y) * k) / view.k };
}

// Pan as little as needed to show the item; zoom in if it is too small to read.
function showItem(view, item, width, height) {
  let next = view;
  if (view.k < ZOOM.readable) next = zoomAt(view, 0.9 / view.k, view.x + (item.x + item.w / 2) * view.k, view.y + item.y * view.k);
  const tall = item.type === "open" ? SIZE.header : item.h;
  return {
    k: next.k,
    x: next.x + shiftInto(next.x + item.x * next.k, item.w * next.k, width),
    y: next.y + shiftInto(next.y + item.y * next.k, tall * next.k, height),
  };
}

function shiftInto(start, size, room) {
  const margin = 2 * ZOOM.margin;
  if (start < margin) return margin - start;
  return start + size > room - margin ? Math.max(margin - start, room - margin - start - size) : 0;
}

// Pan so that the window shows as little empty space as possible.
function filled(view, { w, h }, width, height) {
  return { k: view.k, x: within(view.x, w * view.k, width), y: within(view.y, h * view.k, height) };
}

function within(start, size, room) {
  const [one, other] = [ZOOM.margin, room - size - ZOOM.margin];
  return Math.min(Math.max(one, other), Math.max(Math.min(one, other), start));
}

// Drag, wheel and pinch on `svg`. The wheel zooms once the graph has been entered, or with Ctrl; until then it
// scrolls the page, and so does a finger moving up or down.
function listenToPointers(svg, getView, setView) {
  const fingers = new Map();
  let dragged = false;
  const middle = () => {
    const at = [...fingers.values()];
    const box = svg.getBoundingClientRect();
    const mean = (side) => at.reduce((sum, point) => sum + point[side], 0) / at.length;
    const apart = at.length > 1 ? Math.hypot(at[0].x - at[1].x, at[0].y - at[1].y) : 0;
    return { x: mean("x") - box.left, y: mean("y") - box.top, apart };
  };
  svg.addEventListener("pointerdown", (event) => {
    if (event.pointerType === "mouse" && event.button !== 0) return;
    if (!fingers.size) dragged = false;
    fingers.set(event.pointerId, { x: event.clientX, y: event.clientY, fromX: event.clientX, fromY: event.clientY });
  });
  svg.addEventListener("pointermove", (event) => {
    const finger = fingers.get(event.pointerId);
    if (!finger) return;
    const moved = Math.hypot(event.clientX - finger.fromX, event.clientY - finger.fromY);
    if (!dragged && moved < 5 && fingers.size < 2) return;
    if (!dragged) svg.setPointerCapture(event.pointerId);
    dragged = true;
    const before = middle();
    Object.assign(finger, { x: event.clientX, y: event.clientY });
    const after = middle();
    const view = getView();
    const shifted = { k: view.k, x: view.x + after.x - before.x, y: view.y + after.y - before.y };
    setView(before.apart ? zoomAt(shifted, after.apart / before.apart, after.x, after.y) : shifted);
  });
  for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, (event) => fingers.delete(event.pointerId));
  svg.addEventListener("pointerleave", (event) => {
    if (!svg.hasPointerCapture(event.pointerId)) fingers.delete(event.pointerId);
  });
  svg.addEventListener("wheel", (event) => {
    const entered = svg.classList.contains("entered");
    if (!entered && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const box = svg.getBoundingClientRect();
    const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    setView(zoomAt(getView(), Math.exp(-pixels / (event.ctrlKey ? 120 : 400)), event.clientX - box.left, event.clientY - box.top));
  }, { passive: false });
  return () => dragged;
}
