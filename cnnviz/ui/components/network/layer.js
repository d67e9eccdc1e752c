// An opened layer: the kernel over the input, its terms, and the steps after the sum. `view` is what is open:
// {stage, channel, cell: {y, x}, input, written}.
function layerPanel(host) {
  const part = element("section", "layer", null, { "aria-label": "One layer" });
  part.hidden = true;
  const bar = element("div", "tools"), button = (name, text, label) => {
    const made = element("button", name, text, { type: "button", "aria-label": label, title: label });
    bar.append(made);
    return made;
  };
  const back = button("back", "← Network", "Back to the network (Esc)"), title = element("h2");
  bar.append(title);
  const buttons = {
    back, before: button("step", "‹ map", "Map before (Page up)"), after: button("step", "map ›", "Next map (Page down)"),
    less: button("step", "‹ step", "One step back (arrow keys)"), play: button("play", "▶ Play", "Play, or pause (Space)"), more: button("step", "step ›", "One step on (arrow keys)"),
    write: button("write", "Write it out", "Every term of the sum (Enter)"),
  };
  const figures = element("div", "panels"), figure = (name) => {
    const made = element("figure", name), canvas = element("canvas", "", null, { "aria-hidden": "true" }), caption = element("figcaption");
    made.append(canvas, caption);
    figures.append(made);
    return { part: made, canvas, caption };
  };
  const input = figure("in"), terms = figure("terms"), output = figure("out");
  const bars = element("canvas", "bars", null, { tabindex: 0, role: "slider", "aria-label": "Which input" });
  terms.part.append(bars);
  input.canvas.setAttribute("tabindex", 0);
  input.canvas.setAttribute("role", "application");
  input.canvas.removeAttribute("aria-hidden");
  const sum = element("p", "sum"), written = element("div", "written"), sheet = element("canvas", "", null, { "aria-hidden": "true" });
  written.append(sheet);
  part.append(bar, figures, sum, written);
  host.append(part);
  return { part, title, buttons, input, terms, output, bars, sum, written, sheet, figures, spoken: null };
}

function openLayer(state, stage, channel) {
  const already = state.layer;
  state.layer = { stage, channel, cell: startCell(state, stage, channel), input: 0, written: already?.written ?? false, revealed: null };
  chooseStrongest(state);
  const from = already ? null : placesOnOverview(state);
  state.host.classList.add("opened");
  state.panel.part.hidden = false;
  drawLayer(state);
  remember(stage, channel);
  if (from) flyIn(state, from);
  if (!already) state.panel.input.canvas.focus({ preventScroll: true });
  speak(state, `${nameOf(state, stage, channel)}. ${state.panel.sum.textContent}. The arrow keys move the window, Space plays, Enter writes it out, Escape goes back.`);
}

// The input with the largest contribution is selected, as soon as the weights are here.
function chooseStrongest(state) {
  const { layer: view } = state, { parts } = termsOf(state, view.stage, view.channel, view.cell);
  view.undecided = !parts && ["conv2d", "linear"].includes(view.stage.kind);
  if (parts) view.input = parts.reduce((best, part, i) => (Math.abs(part) > Math.abs(parts[best]) ? i : best), 0);
}

// The cell with the largest value, the initial one.
function startCell(state, stage, channel) {
  if (stage.kind === "softmax") return { y: 0, x: 0 };
  const values = mapValues(state, stage, channel), width = stage.shape[2];
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return { y: Math.floor(best / width), x: best % width };
}

function closeLayer(state) {
  if (!state.layer) return;
  const { stage, channel } = state.layer;
  stopPlaying(state);
  const from = placesInLayer(state);
  state.layer = null;
  state.host.classList.remove("opened");
  state.panel.part.hidden = true;
  state.overview.selected = null;
  state.overview.over.focus({ preventScroll: true });
  select(state, { stage, channel }, true);
  remember(null);
  flyBack(state, stage, channel, from);
}

// The URL contains what is open, so that it can be shared; the server is not informed.
function remember(stage, channel) {
  const address = new URL(location.href);
  if (stage) { address.searchParams.set("open", stage.name); address.searchParams.set("channel", channel); }
  else { address.searchParams.delete("open"); address.searchParams.delete("channel"); }
  history.replaceState(history.state, "", address);
}

function drawLayer(state) {
  const { panel, layer: view } = state, { stage, channel } = view;
  const terms = (view.terms = termsOf(state, stage, channel, view.cell));
  const many = stage.shape[0], single = stage.shape[1] * stage.shape[2] === 1;
  panel.title.textContent = nameOf(state, stage, channel);
  panel.buttons.before.disabled = channel === 0;
  panel.buttons.after.disabled = channel === many - 1;
  const noun = stage.kind === "softmax" ? "class" : single ? "unit" : "map";
  panel.buttons.before.textContent = `‹ ${noun}`;
  panel.buttons.after.textContent = `${noun} ›`;
  const writable = ["conv2d", "linear"].includes(stage.kind) && terms.reads.length > 1 && terms.size > 1;
  panel.buttons.write.hidden = !writable;
  panel.buttons.write.textContent = view.written ? "Fold the terms" : "Write it out";
  panel.buttons.write.setAttribute("aria-expanded", String(view.written));
  panel.written.hidden = !(writable && view.written);
  drawInput(state, terms);
  drawOutput(state, terms);
  drawTerms(state, terms);
  drawBars(state, terms);
  if (!panel.written.hidden) drawWritten(state, terms);
  panel.sum.textContent = stage.kind === "softmax" ? softmaxSentence(state) : sentenceOf(state, stage, terms);
  panel.part.dataset.value = terms.value;
  panel.part.dataset.cell = `${view.cell.y},${view.cell.x}`;
}

function moveTo(state, cell) {
  const { layer: view } = state, [, height, width] = view.stage.shape;
  view.cell = { y: Math.max(0, Math.min(height - 1, cell.y)), x: Math.max(0, Math.min(width - 1, cell.x)) };
  drawLayer(state);
}

function chooseInput(state, input) {
  const { layer: view } = state, count = view.terms.reads.length;
  view.input = Math.max(0, Math.min(count - 1, input));
  drawLayer(state);
}

function goToMap(state, channel) {
  if (channel < 0 || channel >= state.layer.stage.shape[0]) return;
  stopPlaying(state);
  const { cell } = state.layer;
  openLayer(state, state.layer.stage, channel);
  if (state.layer.stage.kind !== "softmax") moveTo(state, cell);
}
