// The line above the mosaic: the hovered cell, and the color scale.
const MEANING = {
  dead: ["✕", "dead: exactly 0 everywhere for this image"],
  never: ["–", "nowhere above 0: a ReLU behind it leaves nothing"],
  saturated: ["▲", "saturated: at the bound of its activation nearly everywhere"],
  broken: ["!", "with values that are not finite numbers"],
};

function legendOf(host) {
  const line = element("div", "line");
  const readout = element("output", "readout", "", { "aria-live": "polite" });
  const scale = element("div", "scale");
  const [low, bar, high] = [element("span"), element("span", "bar"), element("span")];
  const tick = element("i", "tick");
  bar.append(tick);
  scale.append(low, bar, high);
  line.append(readout, scale);
  const marks = element("div", "marks");
  host.append(line);
  return { line, readout, scale, low, bar, high, tick, marks };
}

function showScale(legend, low, high, table) {
  const steps = table.length / 3;
  const stops = Array.from({ length: 9 }, (_, i) => {
    const at = 3 * Math.round((i / 8) * (steps - 1));
    return `rgb(${table[at]} ${table[at + 1]} ${table[at + 2]})`;
  });
  legend.bar.style.background = `linear-gradient(to right, ${stops.join(", ")})`;
  legend.low.textContent = plainly(low);
  legend.high.textContent = plainly(high);
}

function showTick(legend, value, low, high) {
  const known = Number.isFinite(value) && high > low;
  legend.tick.classList.toggle("seen", known);
  if (known) legend.tick.style.left = `${Math.max(0, Math.min(1, (value - low) / (high - low))) * 100}%`;
}

function showMarks(legend, marks, count) {
  const said = Object.entries(marks).filter(([, channels]) => channels.length);
  legend.marks.replaceChildren(...said.map(([name, channels]) => {
    const [sign, words] = MEANING[name];
    const part = element("span", name, `${channels.length} of ${count} ${words}`);
    part.prepend(element("b", "", sign));
    return part;
  }));
}
