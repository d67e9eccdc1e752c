// Pointer and keys over the network: point, walk, open. At most one drawing a frame.
function listenOverview(state, open) {
  const { over } = state.overview;
  over.addEventListener("pointermove", (event) => {
    const { offsetX, offsetY } = event;
    later(state, () => select(state, stageAt(state.stages, offsetX, offsetY)));
  });
  over.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") later(state, () => select(state, null)); });
  over.addEventListener("click", (event) => {
    const hit = stageAt(state.stages, event.offsetX, event.offsetY);
    select(state, hit);
    if (hit && hit.stage.kind !== "input" && (!state.touched || same(hit, state.touched))) open(hit.stage, hit.channel);
    state.touched = matchMedia("(pointer: coarse)").matches ? hit : null; // a finger points first, and opens then
  });
  over.addEventListener("focus", () => { if (over.matches(":focus-visible")) select(state, state.overview.selected ?? { stage: state.stages[1], channel: state.stages[1].shown[0] }, true); });
  over.addEventListener("blur", () => select(state, null));
  over.addEventListener("keydown", (event) => keyOnOverview(event, state, open));
}

const same = (one, other) => one?.stage === other?.stage && one?.channel === other?.channel;

function later(state, act) {
  state.pending = act;
  state.frame ??= requestAnimationFrame(() => {
    state.frame = null;
    const begun = performance.now();
    if (state.outputs) state.pending();
    state.pointedIn = performance.now() - begun;
  });
}

function select(state, hit, aloud = false) {
  if (same(hit, state.overview.selected) && !aloud) return;
  state.overview.selected = hit;
  state.overview.over.style.cursor = hit && hit.stage.kind !== "input" ? "zoom-in" : "default";
  drawSelection(state);
  describe(state);
  if (hit && aloud) speak(state, `${nameOf(state, hit.stage, hit.channel)}. ${factsOf(state, hit.stage, hit.channel)}. ${whyOf(state, hit.stage, hit.channel)}`);
}

function keyOnOverview(event, state, open) {
  const { selected } = state.overview;
  if (!state.outputs) return;
  if (event.key === "Enter" && selected && selected.stage.kind !== "input") { event.preventDefault(); open(selected.stage, selected.channel); return; }
  const next = selected ? walk(state, selected, event.key) : null;
  if (!next) return;
  event.preventDefault();
  select(state, next, true);
  const { scroll } = state.overview, box = boxOf(next.stage, next.channel);
  if (box.left < scroll.scrollLeft || box.left + box.width > scroll.scrollLeft + scroll.clientWidth) scroll.scrollLeft = box.left - scroll.clientWidth / 2;
}

// Up and down go through a column's maps, left and right to the nearest in the next column; Home and End to its ends.
function walk(state, { stage, channel }, key) {
  const { columns } = state.layout, place = stage.kind === "input" ? 0 : stage.places.get(channel) ?? 0, box = tileBox(stage, place);
  if (key === "ArrowUp" || key === "ArrowDown") {
    const step = key === "ArrowDown" ? 1 : -1, next = place + step;
    if (next >= 0 && next < stage.grid.count) return { stage, channel: stage.shown[next] };
    const column = [...columns[stage.column]].sort((one, other) => one.box.top - other.box.top);
    const beside = column[column.indexOf(stage) + step];
    return beside ? { stage: beside, channel: beside.shown[step > 0 ? 0 : beside.grid.count - 1] } : null;
  }
  if (key === "Home" || key === "End") return { stage, channel: stage.shown[key === "Home" ? 0 : stage.grid.count - 1] };
  const side = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (!side) return null;
  const column = place % stage.grid.across + side;
  if (column >= 0 && column < stage.grid.across && place + side < stage.grid.count) return { stage, channel: stage.shown[place + side] };
  return nearest(columns[stage.column + side], box.top + box.height / 2);
}

function nearest(column, y) {
  let best = null;
  (column ?? []).forEach((stage) => {
    for (let place = 0; place < stage.grid.count; place++) {
      const box = tileBox(stage, place), far = Math.abs(box.top + box.height / 2 - y);
      if (!best || far < best.far - 0.01) best = { far, stage, channel: stage.shown[place] };
    }
  });
  return best && { stage: best.stage, channel: best.channel };
}
