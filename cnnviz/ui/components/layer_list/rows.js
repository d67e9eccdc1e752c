// One row per layer, of plain elements: settings, output shape, cost.
const el = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

const bar = (share, kind, className) => {
  const track = el("span", `track ${className}`);
  if (share > 0) {
    const filled = el("span", "filled");
    filled.style.width = `max(2px, ${(100 * share).toFixed(2)}%)`;
    filled.style.background = `var(--kind-${kind})`;
    track.append(filled);
  }
  return track;
};

const heads = () => {
  const line = el("div", "line heads");
  line.setAttribute("aria-hidden", "true");
  line.append(el("span"), el("span"), el("span", "layer", "Layer"), el("span", "output", "Output"),
    el("span", "number", "Parameters"), el("span", "track"), el("span", "number macs", "Multiply-adds"), el("span", "track macs"));
  return line;
};

// The grip captures the pointer for dragging; the row as a whole is a button that selects it.
const lineOf = (row, place) => {
  const item = el("li");
  const line = el("button", `line${row.unknown ? " unknown" : ""}${row.problem ? " broken" : ""}`);
  line.type = "button";
  line.dataset.place = place;
  line.setAttribute("aria-label", `${place + 1}: ${row.label}`);
  const grip = el("span", "grip", "⠿");
  grip.title = "Drag to another place";
  const swatch = el("span", "swatch");
  swatch.style.background = `var(--kind-${row.kind})`;
  const layer = el("span", "layer");
  layer.append(el("b", "", row.name), el("span", "words", row.words));
  if (row.status) layer.append(el("span", "status", row.status));
  line.append(grip, swatch, layer, el("span", "output", row.output), el("span", "number", row.params),
    bar(row.share[0], row.kind, ""), el("span", "number macs", row.macs), bar(row.share[1], row.kind, "macs"));
  item.append(line);
  return item;
};

const trouble = (problem, fixes, onFix) => {
  const box = el("div", "trouble");
  box.setAttribute("role", "alert");
  box.append(el("span", "problem", problem));
  if (fixes.length) box.append(el("span", "would", "What would fit:"));
  fixes.forEach((label, number) => {
    const button = el("button", "fix", label);
    button.type = "button";
    button.addEventListener("click", () => onFix(number));
    box.append(button);
  });
  return box;
};
