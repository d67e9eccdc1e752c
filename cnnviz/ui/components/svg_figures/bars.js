// Three rows of bars over one axis of layers. The selected layer changes at once, and is sent to Python
// by the trigger `selected`.
const ROW = 84, HEAD = 22, FOOT = 30, NARROWEST = 2;

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  const tip = tipOf(host);
  let chosen = data.columns.findIndex((column) => column.chosen);
  let parts = [];

  const choose = (index, tell = true) => {
    if (index < 0 || index >= data.columns.length) return;
    chosen = index;
    parts.forEach((part, i) => {
      part.classList.toggle("chosen", i === chosen);
      part.setAttribute("aria-selected", i === chosen);
    });
    const list = host.querySelector("[role=listbox]");
    list.setAttribute("aria-activedescendant", `layer-${chosen}`);
    label();
    if (tell) setTriggerValue("selected", data.columns[chosen].select);
  };

  // Keyboard navigation is sent to Python once, when it pauses.
  const walk = (index) => {
    choose(Math.max(0, Math.min(data.columns.length - 1, index)), false);
    clearTimeout(host.pause);
    host.pause = setTimeout(() => setTriggerValue("selected", data.columns[chosen].select), 180);
  };

  const onKey = (event) => {
    const to = { ArrowRight: chosen + 1, ArrowLeft: chosen - 1, Home: 0, End: data.columns.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    walk(to);
  };

  let label = () => {};

  const draw = (width) => {
    const step = Math.max(NARROWEST, width / data.columns.length);
    const drawnWidth = Math.max(width, step * data.columns.length);
    const height = 3 * (ROW + HEAD) + FOOT;
    const svg = make("svg", { width: drawnWidth, height, role: "listbox", tabindex: 0, "aria-label": data.alt,
      "aria-orientation": "horizontal" });
    parts = data.columns.map((column, i) => drawColumn(column, i, step, height));
    svg.append(...parts);
    const headings = make("g", { class: "headings" });
    headings.append(...data.measures.map(heading));
    svg.append(...data.measures.map((_, i) => axis(i, drawnWidth)), headings);
    svg.addEventListener("keydown", onKey);
    svg.addEventListener("pointerleave", tip.hide);
    const scroll = document.createElement("div");
    scroll.className = "scroll";
    scroll.append(svg);
    scroll.onscroll = () => headings.setAttribute("transform", `translate(${scroll.scrollLeft} 0)`);
    const focused = host.querySelector("svg:focus") !== null;
    host.querySelector(".scroll")?.remove();
    host.prepend(scroll);
    figureMenu(host, [["Download as SVG", () => savePicture(svg, `${data.name}-layers`)]]);
    label = () => labelColumns(svg, step, drawnWidth, height);
    choose(chosen, false);
    label();
    if (focused) svg.focus();
    const place = chosen * step;
    if (place > width) scroll.scrollLeft = place - width / 2;
  };

  const base = (i) => (i + 1) * (ROW + HEAD);
  const axis = (i, width) => make("line", { class: "axis", x1: 0, x2: width, y1: base(i) + 0.5, y2: base(i) + 0.5 });
  const heading = (measure, i) => {
    const text = make("text", { x: 0, y: base(i) - ROW - 8 });
    text.append(make("tspan", { class: "title" }, measure.title));
    text.append(make("tspan", { class: "unit", dx: 8 }, `${measure.unit}, ${measure.total} in all`));
    return text;
  };

  const drawColumn = (column, i, step, height) => {
    const part = make("g", { class: "column", id: `layer-${i}`, role: "option", transform: `translate(${i * step} 0)`,
      "aria-label": [column.label, column.note, ...column.texts].join(", ") });
    part.dataset.layer = column.select;
    part.append(make("rect", { class: "catch", x: 0, y: 0, width: step, height }));
    const gap = step > 12 ? Math.min(6, step * 0.14) : step > 5 ? 1 : 0.4;
    column.heights.forEach((share, row) => {
      if (!share) return;
      const tall = Math.max(1, share * ROW);
      part.append(make("rect", { x: gap, y: base(row) - tall, width: step - 2 * gap, height: tall,
        rx: Math.min(2, tall / 2), style: `fill: var(--kind-${column.kind})` }));
    });
    part.addEventListener("click", () => { choose(i); host.querySelector("svg").focus({ preventScroll: true }); });
    part.addEventListener("pointermove", (event) =>
      tip.show(event.clientX - host.getBoundingClientRect().left, [column.label, column.note, ...column.texts]));
    return part;
  };

  // Names where they fit, in short; the chosen one always and in full, and it keeps its neighbors' names away.
  const nameOf = (i) => (i === chosen ? data.columns[i].label : data.columns[i].short);
  const labelColumns = (svg, step, width, height) => {
    svg.querySelectorAll(".label").forEach((old) => old.remove());
    const wide = (text) => text.length * 6.4 + 10;
    const place = (i) => {
      const half = wide(nameOf(i)) / 2;
      return Math.max(half, Math.min(width - half, (i + 0.5) * step));
    };
    const taken = [];
    const order = [...data.columns.keys()].sort((a, b) => weight(b) - weight(a));
    for (const i of order) {
      const half = wide(nameOf(i)) / 2, at = place(i);
      if (taken.some(([from, to]) => at + half > from && at - half < to)) continue;
      if (i !== chosen && Math.abs(at - (i + 0.5) * step) > step / 2) continue;
      taken.push([at - half, at + half]);
      parts[i].append(make("text", { class: "label", x: at - i * step, y: height - 10, "text-anchor": "middle" },
        nameOf(i)));
    }
  };
  const weight = (i) => (i === chosen ? 10 : Math.max(data.columns[i].heights[0], data.columns[i].heights[1]) || data.columns[i].heights[2] / 10);

  return drawAtWidth(host, draw);
}
