// Strokes are lists of points. Python hears of the drawing when a stroke ends.
const SIDE = 280, WIDTH = 20, KEY_STEP = 10, SETTLED_MS = 120;
const HINT = "or keys: arrows move, space draws";

export default function ({ data, parentElement, setStateValue }) {
  const host = parentElement.querySelector(".host");
  const pad = (host.pad ??= begin(host, data.strokes));
  pad.tell = (drawing) => setStateValue("drawing", drawing);
  return () => {};
}

function begin(host, strokes) {
  const canvas = element("canvas", "", null, { tabindex: 0, role: "application", width: SIDE, height: SIDE,
    "aria-label": `A pad to draw a digit on. ${HINT}` });
  const pen = element("div", "pen"), bar = element("div", "bar");
  const [undo, clear] = ["Undo", "Clear"].map((text) => element("button", "", text, { type: "button" }));
  bar.append(undo, clear, element("span", "hint", HINT));
  host.append(canvas, pen, bar);
  const pad = { host, canvas, pen, undo, clear, strokes: strokes.map((stroke) => [...stroke]), stroke: null, at: [SIDE / 2, SIDE / 2], down: false };
  undo.onclick = () => { pad.strokes.pop(); changed(pad); };
  clear.onclick = () => { pad.strokes = []; changed(pad); };
  listen(pad);
  draw(pad);
  return pad;
}

function listen(pad) {
  const { canvas } = pad;
  const place = (event) => [Math.round(event.offsetX), Math.round(event.offsetY)];
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    pad.strokes.push((pad.stroke = [place(event)]));
    draw(pad);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!pad.stroke) return;
    pad.stroke.push(place(event));
    draw(pad);
  });
  const lift = () => { if (pad.stroke) { pad.stroke = null; changed(pad); } };
  canvas.addEventListener("pointerup", lift);
  canvas.addEventListener("pointercancel", lift);
  canvas.addEventListener("keydown", (event) => byKey(pad, event));
  canvas.addEventListener("blur", () => { pad.down = false; draw(pad); });
}

function byKey(pad, event) {
  const by = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] }[event.key];
  if (event.key !== " " && !by) return;
  event.preventDefault();
  if (event.key === " ") {
    pad.down = !pad.down;
    if (pad.down) pad.strokes.push([[...pad.at]]);
  } else {
    pad.at = pad.at.map((value, axis) => Math.max(0, Math.min(SIDE, value + KEY_STEP * by[axis])));
    if (pad.down) pad.strokes.at(-1).push([...pad.at]);
  }
  if (pad.down) changed(pad);
  else draw(pad);
}

function draw(pad) {
  const context = pad.canvas.getContext("2d");
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
  Object.assign(pad.pen.style, { left: `${pad.at[0] + 1}px`, top: `${pad.at[1] + 1}px` });
  pad.pen.classList.toggle("down", pad.down);
  pad.undo.disabled = pad.clear.disabled = !pad.strokes.length;
}

function changed(pad) {
  draw(pad);
  clearTimeout(pad.settling);
  pad.settling = setTimeout(() => pad.tell(pad.strokes.length
    ? { strokes: pad.strokes, png: pad.canvas.toDataURL("image/png").split(",")[1] } : null), SETTLED_MS);
}
