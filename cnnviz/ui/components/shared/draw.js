// SVG helpers.
const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, text = null) {
  const part = document.createElementNS(SVG, tag);
  Object.entries(attributes).forEach(([name, value]) => part.setAttribute(name, value));
  if (text !== null) part.textContent = text;
  return part;
}

// Draw now and whenever the width changes; one observer per host, however often Streamlit calls.
function drawAtWidth(host, draw) {
  host.redraw = () => { if (host.clientWidth) draw(host.clientWidth); };
  if (!host.watcher) {
    let width = 0;
    host.watcher = new ResizeObserver(() => {
      if (host.clientWidth !== width) { width = host.clientWidth; host.redraw(); }
    });
    host.watcher.observe(host);
  }
  host.redraw();
  return () => { host.watcher.disconnect(); host.watcher = null; };
}

function cut(text, room, perLetter = 6.6) {
  const letters = Math.floor(room / perLetter);
  if (text.length <= letters) return text;
  return letters < 3 ? "" : `${text.slice(0, letters - 1)}…`;
}
