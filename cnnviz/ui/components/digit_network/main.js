// Entry point, which Streamlit calls at every script run; the drawn state is kept on the host. Each stroke runs the whole
// network within one frame, without the server. The drawing is kept while the window is open.
const DRAWING = "cnnviz-digit", REPLAY_MS = 700, SPOKEN_MS = 500;

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  if (!host.state) begin(host, unpack(data));
  host.state.open = (drawing) => setTriggerValue("open", drawing);
  return () => {};
}

// A click on the link to the network view takes along what is on the pad, of which the server knows nothing.
function takeAlong(state) {
  const clicked = (event) => {
    if (!state.host.isConnected) { document.removeEventListener("click", clicked, true); return; }
    const other = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button;
    if (other || !event.target.closest?.(state.facts.link) || !state.pad.strokes.length) return;
    event.preventDefault();
    event.stopPropagation();
    const { strokes, canvas } = state.pad;
    state.open(state.example === null ? { strokes, png: canvas.toDataURL("image/png").split(",")[1] } : { example: state.example });
  };
  document.addEventListener("click", clicked, true);
}

function begin(host, { facts, arrays }) {
  const state = { host, facts, weights: arrays.weights.values, table: arrays.table.values, frame: 0, example: null };
  host.state = state;
  const [left, middle, right] = ["draw", "inside", "answer"].map((name) => host.appendChild(element("div", name)));
  state.examples = examplesOf(state);
  state.answer = answerOf(right, facts.classes);
  state.lens = lensOf(host);
  middle.setAttribute("role", "group");
  middle.setAttribute("aria-label", `Every layer of ${facts.name} for this drawing`);
  const blank = forward(facts.program, state.weights, new Float32Array(facts.input.side ** 2));
  const look = { point: (view, channel) => showLens(state.lens, view, channel, state.table), leave: () => hideLens(state.lens) };
  state.views = stagesOf(facts.program, blank).map((stage) => stageView(stage, look));
  state.views.forEach((view) => middle.append(view.figure));
  const kept = read(DRAWING);
  state.example = kept ? null : facts.first;
  const strokes = kept ?? copied(facts.examples[facts.first]);
  state.pad = strokePad(left, strokes, `A pad to draw a digit on, ${HINT}; or choose an example digit below.`, {
    drawn: (pad) => schedule(state, pad),
    update: () => update(state), // what benchmarks.stroke times
    began: () => start(state),
    ended: (pad) => { state.example = null; markExample(state); keep(DRAWING, pad.strokes); },
  });
  left.append(state.examples);
  markExample(state);
  document.addEventListener("pointerdown", (event) => { if (!event.composedPath().includes(middle)) hideLens(state.lens); });
  update(state);
  takeAlong(state);
}

const copied = (strokes) => strokes.map((stroke) => stroke.map((point) => [...point]));

// A stroke that begins over an example replaces it.
function start(state) {
  cancelAnimationFrame(state.replay);
  if (state.example !== null) state.pad.strokes = [];
  state.example = null;
  markExample(state);
}

function schedule(state, pad) {
  state.pad ??= pad;
  if (!state.frame) state.frame = requestAnimationFrame(() => { state.frame = 0; update(state); });
}

function update(state) {
  const { pad, facts, views, table } = state;
  const rgba = pad.canvas.getContext("2d").getImageData(0, 0, SIDE, SIDE).data;
  const pixels = new Uint8Array(SIDE * SIDE);
  for (let i = 0; i < pixels.length; i++) pixels[i] = rgba[4 * i];
  const empty = !pad.strokes.length;
  const { seen, input } = digitInput({ height: SIDE, width: SIDE, pixels }, facts.input);
  const outputs = forward(facts.program, state.weights, input);
  views.forEach((view) => {
    const values = view.take < 0 ? seen.pixels : outputs[view.take].values;
    paintStage(view, empty && view.take >= 0 ? values.map(() => 0) : values, table);
  });
  paintLens(state.lens, table);
  showAnswer(state.answer, empty ? null : softmax({}, outputs.at(-1)).values, facts.classes);
  state.host.dispatchEvent(new CustomEvent("cnnviz-forward", { bubbles: true, composed: true }));
}

// The ten example digits, for visitors who do not draw.
function examplesOf(state) {
  const row = element("div", "examples", null, { role: "group", "aria-label": "Example digits" });
  state.facts.examples.forEach((strokes, digit) => {
    const button = element("button", "", String(digit), { type: "button", "aria-label": `Example digit ${digit}` });
    button.onclick = () => replay(state, digit, copied(strokes));
    row.append(button);
  });
  return row;
}

function markExample({ examples, example }) {
  [...examples.children].forEach((button, digit) => button.setAttribute("aria-pressed", String(digit === example)));
}

// An example is drawn stroke by stroke; at once with reduced motion.
function replay(state, digit, strokes) {
  const total = strokes.reduce((sum, stroke) => sum + stroke.length, 0), begun = performance.now();
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  cancelAnimationFrame(state.replay);
  state.example = digit;
  markExample(state);
  forget(DRAWING);
  const step = () => {
    let left = still ? total : Math.min(total, Math.ceil(((performance.now() - begun) / REPLAY_MS) * total));
    const done = left >= total;
    state.pad.strokes = strokes.map((stroke) => { const part = stroke.slice(0, Math.max(0, left)); left -= stroke.length; return part; })
      .filter((stroke) => stroke.length);
    drawStrokes(state.pad);
    if (!done) state.replay = requestAnimationFrame(step);
  };
  step();
}

function answerOf(right, classes) {
  const best = element("p", "best"), list = element("ol", "", null, { "aria-label": "Probability of each digit" });
  const spoken = element("p", "spoken", "", { "aria-live": "polite" });
  const rows = classes.map((name) => {
    const row = element("li"), bar = element("i"), part = element("b");
    bar.append(part);
    const percent = element("span", "percent");
    row.append(element("span", "name", name), bar, percent);
    list.append(row);
    return { row, part, percent };
  });
  right.append(best, list, spoken);
  return { best, spoken, rows };
}

const percentText = (value) => (value > 0.999 ? "> 99.9 %" : value < 0.001 ? "< 0.1 %" : `${(100 * value).toFixed(1)} %`);

function showAnswer(answer, probabilities, classes) {
  const most = probabilities ? probabilities.indexOf(Math.max(...probabilities)) : -1;
  answer.rows.forEach(({ row, part, percent }, i) => {
    const value = probabilities ? probabilities[i] : 0;
    row.classList.toggle("most", i === most);
    part.style.width = `${100 * value}%`;
    percent.textContent = probabilities ? percentText(value) : "–";
  });
  const sure = most >= 0 && probabilities[most] >= 0.6;
  answer.best.replaceChildren(...(most < 0 ? ["Draw a digit"] : [sure ? "It reads " : "Perhaps ", element("strong", "", classes[most])]));
  const text = most < 0 ? "Nothing is drawn." : `It reads ${classes[most]}, ${percentText(probabilities[most])}.`;
  clearTimeout(answer.speaking);
  answer.speaking = setTimeout(() => { if (answer.spoken.textContent !== text) answer.spoken.textContent = text; }, SPOKEN_MS);
}

// Stored for the window alone; not at all if the browser forbids it.
function keep(name, strokes) {
  try { sessionStorage.setItem(name, JSON.stringify(strokes)); } catch { /* not allowed here */ }
}

function forget(name) {
  try { sessionStorage.removeItem(name); } catch { /* not allowed here */ }
}

function read(name) {
  try {
    const strokes = JSON.parse(sessionStorage.getItem(name));
    return Array.isArray(strokes) && strokes.length ? strokes : null;
  } catch { return null; }
}
