// Playback, stepping, dragging and keys of an opened layer.
const WHOLE_MS = 9_000, FASTEST_MS = 30, SLOWEST_MS = 420;

// The value in turn: a cell of the map, or where there is one value, the input that is added; in softmax the class.
function positions(state) {
  const { stage, cell, input, channel, terms } = state.layer, [channels, height, width] = stage.shape;
  if (stage.kind === "softmax") return { count: channels, at: channel, go: (place) => { state.layer.channel = place; remember(stage, place); drawLayer(state); } };
  if (height * width === 1) return { count: terms.reads.length, at: input, go: (place) => chooseInput(state, place) };
  return { count: height * width, at: cell.y * width + cell.x, go: (place) => moveTo(state, { y: Math.floor(place / width), x: place % width }) };
}

function stepBy(state, amount) {
  const { count, at, go } = positions(state);
  go((at + amount + count) % count);
}

function play(state) {
  if (state.playing) return stopPlaying(state);
  const { count, at, go } = positions(state), pace = Math.max(FASTEST_MS, Math.min(SLOWEST_MS, WHOLE_MS / count));
  const start = at === count - 1 || state.layer.revealed === null ? 0 : at, begun = performance.now();
  state.panel.buttons.play.textContent = "❚❚ Pause";
  const tick = (now) => {
    const place = Math.min(count - 1, start + Math.floor(Math.max(0, now - begun) / pace));
    state.layer.revealed = state.layer.stage.kind === "softmax" ? null : place;
    if (place !== positions(state).at || place === start) go(place);
    if (place === count - 1) { state.layer.revealed = null; stopPlaying(state); drawLayer(state); return; }
    state.playing = requestAnimationFrame(tick);
  };
  state.playing = requestAnimationFrame(tick);
}

function stopPlaying(state) {
  cancelAnimationFrame(state.playing);
  state.playing = null;
  state.panel.buttons.play.textContent = "▶ Play";
}

function listenLayer(state) {
  const { panel } = state, { buttons, input, output, bars } = panel;
  buttons.back.onclick = () => closeLayer(state);
  buttons.before.onclick = () => goToMap(state, state.layer.channel - 1);
  buttons.after.onclick = () => goToMap(state, state.layer.channel + 1);
  buttons.less.onclick = () => { pause(state); stepBy(state, -1); tell(state); };
  buttons.more.onclick = () => { pause(state); stepBy(state, 1); tell(state); };
  buttons.play.onclick = () => play(state);
  buttons.write.onclick = () => writeOut(state);
  const follow = (canvas, at) => {
    const move = (event) => { const { offsetX, offsetY } = event; if (event.type === "pointerdown") pause(state); if (!state.playing) later(state, () => state.layer && at(offsetX, offsetY)); };
    canvas.addEventListener("pointermove", move);
    canvas.addEventListener("pointerdown", move);
  };
  follow(input.canvas, (x, y) => overInput(state, x, y));
  follow(output.canvas, (x, y) => overOutput(state, x, y));
  bars.addEventListener("pointerdown", (event) => chooseInput(state, Math.floor((event.offsetX / bars.clientWidth) * state.layer.terms.reads.length)));
  panel.part.addEventListener("keydown", (event) => keyOnLayer(event, state));
}

// A pause by hand shows the whole map again.
function pause(state) {
  if (state.playing) stopPlaying(state);
  state.layer.revealed = null;
}

// The window's middle under the pointer.
function overInput(state, x, y) {
  const { stage, inputScale: scale, across, terms } = state.layer;
  if (!scale) return;
  const column = Math.floor(x / scale), row = Math.floor(y / scale);
  if (terms.reads[0].stage.shape[1] * terms.reads[0].stage.shape[2] === 1 && terms.reads.length > 1) { chooseInput(state, row * across + column); return; }
  if (stage.shape[1] * stage.shape[2] === 1) return;
  const layer = state.program.layers[stage.head], { window } = terms;
  const middle = (place, padding, stride, side, dilation) => Math.round((place + padding - ((side - 1) * dilation) / 2) / stride);
  const [padding, stride] = [layer.padding ?? [0, 0], layer.stride ?? [1, 1]];
  moveTo(state, { y: middle(row, padding[0], stride[0], window.height, window.dy), x: middle(column, padding[1], stride[1], window.width, window.dx) });
}

function overOutput(state, x, y) {
  const { outputBoxes, stage } = state.layer;
  for (const { left, top, scale } of outputBoxes ?? []) {
    const cell = { y: Math.floor((y - top) / scale), x: Math.floor((x - left) / scale) };
    if (cell.y >= 0 && cell.x >= 0 && cell.y < stage.shape[1] && cell.x < stage.shape[2]) { moveTo(state, cell); return; }
  }
}

function keyOnLayer(event, state) {
  const { layer: view, panel } = state, onButton = event.target.tagName === "BUTTON", onBars = event.target === panel.bars;
  const arrow = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }[event.key];
  const act = () => {
    if (event.key === "Escape") return view.written ? () => writeOut(state) : () => closeLayer(state);
    if (event.key === "PageUp" || event.key === "PageDown") return () => goToMap(state, view.channel + (event.key === "PageDown" ? 1 : -1));
    if (onButton) return null;
    if (event.key === " ") return () => play(state);
    if (event.key === "Enter" && !panel.buttons.write.hidden) return () => writeOut(state);
    if (arrow && onBars) return () => chooseInput(state, view.input + arrow[0] + arrow[1]);
    if (arrow) return () => byArrow(state, arrow);
    return null;
  };
  const found = act();
  if (!found) return;
  event.preventDefault();
  event.stopPropagation();
  if (arrow) pause(state);
  found();
  if (arrow) tell(state);
}

function byArrow(state, [down, right]) {
  const { stage, cell } = state.layer, area = stage.shape[1] * stage.shape[2];
  if (area === 1) stepBy(state, down + right);
  else moveTo(state, { y: cell.y + down, x: cell.x + right });
}

const tell = (state) => { if (state.layer) speak(state, `${state.panel.output.caption.textContent}. ${state.panel.sum.textContent}`); };

function writeOut(state) {
  state.layer.written = !state.layer.written;
  const from = state.panel.terms.canvas.getBoundingClientRect();
  drawLayer(state);
  if (state.layer.written) { glide(state.panel.sheet, from); state.panel.written.scrollIntoView({ block: "nearest" }); }
  else glide(state.panel.terms.canvas, state.panel.figures.getBoundingClientRect());
}
