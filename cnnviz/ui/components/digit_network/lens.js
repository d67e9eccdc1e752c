// Lens: one map enlarged beside the pointer or the focus, with its description.
const LENS = 168;

function lensOf(host) {
  const part = element("div", "lens", null, { "aria-hidden": "true" });
  const canvas = element("canvas"), title = element("strong"), facts = element("div"), text = element("div", "why");
  const spoken = element("div", "spoken", "", { "aria-live": "polite" });
  part.append(canvas, title, facts, text);
  host.append(part, spoken);
  return { host, part, canvas, title, facts, text, spoken, view: null, channel: 0 };
}

function showLens(lens, view, channel, table) {
  Object.assign(lens, { view, channel });
  const { count, height, width } = view, single = height * width === 1;
  lens.title.textContent = count === 1 ? view.name : `${view.name}, ${single ? "unit" : "map"} ${channel + 1} of ${count}`;
  lens.text.textContent = view.text;
  lens.canvas.hidden = single;
  lens.part.classList.add("seen");
  paintLens(lens, table);
  placeLens(lens);
  if (view.canvas.matches(":focus-visible")) lens.spoken.textContent = `${lens.title.textContent}. ${lens.facts.textContent}`;
}

function paintLens(lens, table) {
  const { view, channel, canvas } = lens;
  if (!view?.values) return;
  const { height, width, values, take } = view, area = height * width;
  const part = values.subarray(channel * area, (channel + 1) * area);
  const largest = part.reduce((most, value) => Math.max(most, value), -Infinity);
  if (area === 1) lens.facts.textContent = `Value ${plainly(Number(part[0].toFixed(4)))}`;
  else lens.facts.textContent = `${height}×${width}, ${take < 0 ? "pixels" : `largest value ${plainly(Number(largest.toFixed(4)))}`}`;
  if (area === 1) return;
  sized(canvas, LENS, LENS).drawImage(tileOf(view, channel, table), 0, 0, LENS, LENS);
}

// Position beside its tile, on the side with room, inside the host.
function placeLens({ host, part, view, channel }) {
  const outer = host.getBoundingClientRect(), inner = view.canvas.getBoundingClientRect();
  const scale = view.canvas.clientWidth / view.canvas.width, side = (view.tile + view.gap) * scale;
  const left = inner.left - outer.left + (channel % view.columns) * side;
  const top = inner.top - outer.top + Math.floor(channel / view.columns) * side;
  const after = left + side + 8, room = host.clientWidth;
  const x = after + part.offsetWidth <= room ? after : left - part.offsetWidth - 8;
  part.style.left = `${Math.max(0, Math.min(room - part.offsetWidth, x))}px`;
  const overlaps = x < 0;
  const y = overlaps ? top + side + 8 : top + side / 2 - part.offsetHeight / 2;
  part.style.top = `${Math.max(0, y)}px`;
}

function hideLens(lens) {
  lens.view = null;
  lens.part.classList.remove("seen");
}
