// The drawing is sent to Python when a stroke has ended.
const SETTLED_MS = 120;

export default function ({ data: [data], parentElement, setStateValue }) {
  const host = parentElement.querySelector(".host");
  const pad = (host.pad ??= strokePad(host, data.strokes.map((stroke) => [...stroke]), `A pad to draw a digit on. ${HINT}`, { ended: settle }));
  pad.tell = (drawing) => setStateValue("drawing", drawing);
  return () => {};
}

function settle(pad) {
  clearTimeout(pad.settling);
  pad.settling = setTimeout(() => pad.tell(pad.strokes.length
    ? { strokes: pad.strokes, png: pad.canvas.toDataURL("image/png").split(",")[1] } : null), SETTLED_MS);
}
