// Entry point of a figure, which Streamlit calls at every script run and change of theme; the drawn state is kept on
// the host, so that a call with the same figure costs a comparison of two strings.
export default async function ({ data: [data], parentElement, setStateValue }) {
  const host = parentElement.querySelector(".cnnviz-plot");
  const state = (host.state ??= begin(host));
  state.data = data;
  state.pick = (picked) => { if (state.data.picks) setStateValue("picked", picked); };
  state.room.style.height = `${data.height}px`;
  state.room.setAttribute("aria-label", data.alt);
  try {
    state.plotly = await loadPlotly(data.plotly);
  } catch (error) {
    state.room.textContent = "The figure cannot be drawn: its script did not come from the server. Load the page again.";
    return () => {};
  }
  await draw(state);
  return () => setTimeout(() => { if (!host.isConnected) end(state); });
}

function begin(host) {
  const controls = controlsOf(host);
  const room = document.createElement("div");
  room.className = "room";
  room.setAttribute("role", "img");
  host.append(room);
  const state = { host, room, controls, drawn: null, look: null, busy: Promise.resolve() };
  state.watcher = new ResizeObserver(() => draw(state));
  state.watcher.observe(room);
  // The transition of a color that hangs on the theme ends whenever the theme has changed.
  host.addEventListener("transitionend", (event) => { if (event.target === host) draw(state); });
  controls.whole.onclick = () => showAll(state);
  figureMenu(host, [
    ["Download as SVG", () => save(state, "svg")],
    ["Download as PNG", () => save(state, "png")],
    ["Download data as CSV", () => saveData(state)],
  ]);
  return state;
}

function end(state) {
  state.watcher.disconnect();
  state.plotly?.purge(state.room);
}

// One drawing at a time: Plotly answers with promises, and a second call would overtake the first. One that fails
// must not keep the next from its turn.
function draw(state) {
  state.busy = state.busy.then(() => drawNow(state)).catch((error) => fail(state, error));
  return state.busy;
}

function fail(state, error) {
  state.drawn = null;
  if (state.host.isConnected) console.error(`The figure could not be drawn: ${error.message}`);
}

// What is below the window waits until the browser has nothing else to do: what is in sight is painted first.
const IDLE_MS = 500;
const turn = (room) => room.getBoundingClientRect().top < innerHeight ? null
  : new Promise((resolve) => (window.requestIdleCallback ? requestIdleCallback(resolve, { timeout: IDLE_MS }) : setTimeout(resolve)));

async function drawNow(state) {
  const { room, host } = state;
  if (!state.plotly || !room.clientWidth) return;
  await turn(room);
  const { plotly, data } = state;
  const style = getComputedStyle(host);
  const look = [style.getPropertyValue("--st-background-color"), style.colorScheme, room.clientWidth, data.height].join(" ");
  if (state.drawn === data.figure && state.look === look) return;
  const figure = themed(JSON.parse(data.figure), host);
  const layout = { uirevision: data.key, ...figure.layout, width: room.clientWidth, height: data.height };
  await plotly.react(room, figure.data, layout, { displayModeBar: false, doubleClick: "reset+autosize", showTips: false });
  if (state.look === null) listen(state);
  [state.drawn, state.look] = [data.figure, look];
  showZoom(state);
  host.dataset.drawn = Number(host.dataset.drawn ?? 0) + 1;
}

function listen(state) {
  state.room.on("plotly_click", ({ points: [point] }) => state.pick(decoded({
    curve: point.curveNumber, point: point.pointNumber, x: point.x ?? null, y: point.y ?? null, z: point.z ?? null,
    customdata: point.customdata ?? null,
  })));
  state.room.on("plotly_relayout", () => showZoom(state));
  state.room.on("plotly_hover", ({ points: [point], event }) => {
    const place = state.data.images && point.customdata?.[1];
    if (Number.isInteger(place)) showPicture(state.host, state.data.images, place, event);
  });
  state.room.on("plotly_unhover", () => { pictureOf(state.host).hidden = true; });
}

const axesOf = (room) => Object.keys(room.layout).filter((name) => /^[xy]axis\d*$/.test(name));

// Zoomed is what differs from the axes as the figure gave them.
function showZoom(state) {
  const given = JSON.parse(state.data.figure).layout ?? {};
  state.controls.whole.hidden = !axesOf(state.room).some((name) => {
    const range = state.room.layout[name].range, own = given[name]?.range;
    return own ? String(own) !== String(range) : state.room.layout[name].autorange === false;
  });
}

function showAll(state) {
  const given = JSON.parse(state.data.figure).layout ?? {};
  const changes = axesOf(state.room).map((name) => {
    const own = given[name]?.range;
    return own ? [`${name}.range`, [...own]] : [`${name}.autorange`, given[name]?.autorange ?? true];
  });
  state.plotly.relayout(state.room, Object.fromEntries(changes));
}

function save(state, format) {
  const paper = getComputedStyle(state.host).getPropertyValue("--st-background-color");
  return saveFigure(state.plotly, state.room, format, state.data.name, paper);
}

function saveData({ data }) {
  const text = toCsv(decoded(JSON.parse(data.figure).data));
  hand(new Blob([text], { type: "text/csv" }), `${data.name}.csv`);
}
