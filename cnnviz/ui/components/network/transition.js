// Animated transitions between overview, layer and formula; none with reduced motion.
const FLIGHT_MS = 380;
const still = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

// From a rectangle of the window to where the element stands now.
function glide(part, from) {
  const to = part.getBoundingClientRect();
  if (still() || !to.width || !from.width) return;
  part.style.transformOrigin = "0 0";
  part.animate([
    { transform: `translate(${from.left - to.left}px, ${from.top - to.top}px) scale(${from.width / to.width}, ${from.height / to.height})`, opacity: 0.6 },
    { transform: "none", opacity: 1 },
  ], { duration: FLIGHT_MS, easing: "cubic-bezier(.2, .7, .2, 1)" });
}

function placesOnOverview(state) {
  const { stage, channel, input } = state.layer, read = readsOf(state.program, stage, channel)[input];
  const corner = state.overview.over.getBoundingClientRect();
  const place = (box) => ({ left: corner.left + box.left, top: corner.top + box.top, width: box.width, height: box.height });
  return { output: place(boxOf(stage, channel)), input: read && isShown(read.stage, read.channel) ? place(boxOf(read.stage, read.channel)) : null };
}

function placesInLayer({ panel }) {
  return [panel.input, panel.output].filter(({ part }) => !part.hidden).map(({ canvas }) => ({ canvas, from: canvas.getBoundingClientRect() }));
}

function flyIn(state, from) {
  const { panel } = state;
  if (still()) return;
  if (from.input) glide(panel.input.canvas, from.input);
  glide(panel.output.part.hidden ? panel.terms.canvas : panel.output.canvas, from.output);
  [panel.terms.part, panel.sum].forEach((part) => part.animate([{ opacity: 0 }, { opacity: 1 }], { duration: FLIGHT_MS }));
}

// Images of the panels move back to their maps.
function flyBack(state, stage, channel, panels) {
  if (still() || !panels.length) return;
  const corner = state.overview.over.getBoundingClientRect(), box = boxOf(stage, channel);
  const to = { left: corner.left + box.left, top: corner.top + box.top, width: box.width, height: box.height };
  state.overview.scroll.animate([{ opacity: 0.2 }, { opacity: 1 }], { duration: FLIGHT_MS });
  const { canvas, from } = panels.at(-1), ghost = element("canvas", "ghost", null, { "aria-hidden": "true" }), host = state.host.getBoundingClientRect();
  ghost.width = canvas.width;
  ghost.height = canvas.height;
  ghost.getContext("2d").drawImage(canvas, 0, 0);
  Object.assign(ghost.style, { left: `${to.left - host.left}px`, top: `${to.top - host.top}px`, width: `${to.width}px`, height: `${to.height}px` });
  state.host.append(ghost);
  ghost.style.transformOrigin = "0 0";
  ghost.animate([
    { transform: `translate(${from.left - to.left}px, ${from.top - to.top}px) scale(${from.width / to.width}, ${from.height / to.height})`, opacity: 1 },
    { transform: "none", opacity: 0.3 },
  ], { duration: FLIGHT_MS, easing: "cubic-bezier(.2, .7, .2, 1)" }).finished.then(() => ghost.remove(), () => ghost.remove());
}
