// A pad to draw on with mouse, finger, pen or the arrow keys. Strokes are lists of points in a square of 280.
const SIDE = 280, WIDTH = 20, KEY_STEP = 10;
const HINT = "or keys: arrows move, space draws";

// `hooks.drawn(pad)` is called whenever the picture may have changed, `hooks.ended(pad)` when a stroke has ended and
// after undo and clear, `hooks.began(pad)` before a stroke of the pointer or the keys begins.
function strokePad(host, strokes, label, hooks) {
  const paper = element("div", "paper"), pen = element("div", "pen"), bar = element("div", "bar");
  const canvas = element("canvas", "", null, { tabindex: 0, role: "application", width: SIDE, height: SIDE, "aria-label": label });
  const [undo, clear] = ["Undo", "Clear"].map((text) => element("button", "", text, { type: "button" }));
  bar.append(undo, clear, element("span", "hint", HINT));
  paper.append(canvas, pen);
  host.append(paper, bar);
  const pad = { host, canvas, pen, bar, undo, clear, hooks, strokes, stroke: null, at: [SIDE / 2, SIDE / 2], down: false };
  undo.onclick = () => { pad.strokes.pop(); ended(pad); };
  clear.onclick = () => { pad.strokes = []; ended(pad); };
  listenToPen(pad);
  drawStrokes(pad);
  return pad;
}

function listenToPen(pad) {
  const { canvas } = pad;
  const place = (event) => [event.offsetX, event.offsetY].map((value) => Math.round((value * SIDE) / canvas.clientWidth));
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    pad.hooks.began?.(pad);
    pad.strokes.push((pad.stroke = [place(event)]));
    drawStrokes(pad);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pad.stroke) return;
    pad.stroke.push(place(event));
    drawStrokes(pad);
  });
  const lift = () => { if (pad.stroke) { pad.stroke = null; ended(pad); } };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("keydown", (event) => moveByKey(pad, event));
  canvas.addEventListener("blur", () => { pad.down = false; drawStrokes(pad); });
}

function moveByKey(pad, event) {
  const by = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
  if (event.key !== " " && !by) return;
  event.preventDefault();
  if (event.key === " ") {
    pad.down = !pad.down;
    if (pad.down) {
      pad.hooks.began?.(pad);
      pad.strokes.push([[...pad.at]]);
    }
  } else {
    pad.at = pad.at.map((value, axis) => Math.max(0, Math.min(SIDE, value + KEY_STEP * by[axis])));
    if (pad.down) pad.strokes.at(-1).push([...pad.at]);
  }
  if (pad.down) ended(pad);
  else drawStrokes(pad);
}

function drawStrokes(pad) {
  const context = pad.canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#000";
  context.fillRect(0, 0, SIDE, SIDE);
  Object.assign(context, { strokeStyle: "#fff", lineWidth: WIDTH, lineCap: "round", lineJoin: "round" });
  pad.strokes.forEach(([first, ...rest]) => {
    context.beginPath();
    context.moveTo(...first);
    rest.forEach((point) => context.lineTo(...point));
    if (!rest.length) context.lineTo(...first);
    context.stroke();
  });
  Object.assign(pad.pen.style, { left: `${(100 * pad.at[0]) / SIDE}%`, top: `${(100 * pad.at[1]) / SIDE}%` });
  pad.pen.classList.toggle("down", pad.down);
  pad.undo.disabled = pad.clear.disabled = !pad.strokes.length;
  pad.hooks.drawn?.(pad);
}

function ended(pad) {
  drawStrokes(pad);
  pad.hooks.ended?.(pad);
}
