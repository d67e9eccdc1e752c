// Entry point, which Streamlit calls at every script run; the drawn state is kept on the host. Pointer events do not involve the
// server: only for a network that is computed there are kernels fetched, one map's at a time.
const MIN_HEIGHT = 330, MAX_HEIGHT = 620, BELOW = 150;

export default function ({ data, parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  const state = (host.state ??= begin(host));
  state.tell = (layer, channel) => setTriggerValue("kernel", `${layer}:${channel}`);
  const view = unpack(data);
  if (view.stamp !== state.view?.stamp) show(state, view);
  return () => setTimeout(() => { if (!host.isConnected) end(state); });
}

function begin(host) {
  const state = { host, overview: overviewOf(host), inspector: inspectorOf(host), panel: layerPanel(host), asked: new Set(), outputs: null };
  state.ask = (layer, channel) => askLater(state, layer, channel);
  state.recompute = () => { state.began = performance.now(); compute(state, (outputs) => computed(state, outputs)); }; // what benchmarks.network_view times
  state.watcher = new ResizeObserver(() => { if (host.clientWidth !== state.room && state.outputs) redraw(state); });
  state.watcher.observe(host);
  state.arrived = ({ detail }) => arrived(state, detail);
  document.addEventListener("cnnviz-arrays", state.arrived);
  onTheme(host, () => { if (state.outputs) redraw(state); });
  listenOverview(state, (stage, channel) => openLayer(state, stage, channel));
  listenLayer(state);
  return state;
}

function end(state) {
  state.watcher.disconnect();
  state.worker?.terminate();
  document.removeEventListener("cnnviz-arrays", state.arrived);
}

function show(state, view) {
  const another = state.view?.facts.stamp !== view.facts.stamp;
  state.view = view;
  state.began = performance.now();
  if (another) {
    if (state.layer) { stopPlaying(state); state.layer = null; state.host.classList.remove("opened"); state.panel.part.hidden = true; }
    state.program = view.facts.program;
    state.stages = stagesOf(state.program);
    state.overview.selected = state.outputs = null;
    state.asked.clear();
    state.opening = view.facts.open;
  }
  state.picture = pictureCanvas(view.arrays.picture);
  state.overview.over.setAttribute("aria-label", `${view.facts.name} as a whole: ${state.stages.length - 1} layers. The arrow keys go from map to map, Enter opens a layer.`);
  if (another) {
    state.inspector.title.textContent = view.facts.name;
    state.inspector.facts.textContent = "Every layer is being worked out for this image …";
    state.inspector.why.textContent = "";
  }
  state.host.style.minHeight = `${heightOf(state) + 150}px`;
  compute(state, (outputs) => computed(state, outputs));
}

// So tall that the inspector below it ends with the window, where the page is not scrolled.
function heightOf({ host }) {
  const scrolled = document.querySelector("[data-testid=stMain]")?.scrollTop ?? 0, top = host.getBoundingClientRect().top + scrolled;
  return Math.max(MIN_HEIGHT, Math.min(MAX_HEIGHT, innerHeight - top - BELOW));
}

function computed(state, outputs) {
  state.outputs = outputs;
  state.computedIn = performance.now() - state.began;
  redraw(state);
  state.host.dataset.ready = state.view.facts.picture;
  state.host.dispatchEvent(new CustomEvent("cnnviz-forward", { bubbles: true, composed: true, detail: performance.now() - state.began }));
  const { opening } = state;
  state.opening = null;
  if (!opening) return;
  const stage = state.stages.find(({ name, title }) => name === opening.name || title === opening.name);
  if (stage && stage.kind !== "input") openLayer(state, stage, Math.min(opening.channel ?? stage.shown[0], stage.shape[0] - 1));
}

function redraw(state) {
  const { arrays } = state.view, dark = isDark(state.host);
  state.room = state.host.clientWidth;
  const style = getComputedStyle(state.host);
  state.font = style.fontFamily;
  state.text = Number(style.getPropertyValue("--text")) || 1;
  state.tables = { sequential: arrays.sequential.values, diverging: (dark ? arrays.dark : arrays.light).values };
  state.layout = layOut(state.stages, state.room, heightOf(state));
  refreshOverview(state);
  drawOverview(state);
  describe(state);
  if (state.layer) drawLayer(state);
}

// Arrays arrived: the network's weights, or one map's kernel.
function arrived(state, slot) {
  const { facts } = state.view ?? {};
  if (!facts) return;
  if (slot === facts.weights && !state.outputs) compute(state, (outputs) => computed(state, outputs));
  if (slot.startsWith(`${facts.stamp}:`) && state.outputs) { drawSelection(state); describe(state); if (state.layer) { if (state.layer.undecided) chooseStrongest(state); drawLayer(state); } }
}

const ASK_AFTER_MS = 180;

// Request one kernel at a time, of the map hovered for a moment or opened.
function askLater(state, layer, channel) {
  const slot = `${state.view.facts.stamp}:${layer}:${channel}`;
  if (state.asked.has(slot)) return;
  clearTimeout(state.asking);
  state.asking = setTimeout(() => { state.asked.add(slot); state.tell(layer, channel); }, ASK_AFTER_MS);
}
