// Three panels, one per measure: side by side if there is room, else stacked. In each,
// every model has a bar of its total, stacked by kind, and under it its layers over the depth.
const NARROW = 760, GAP = 36, HEAD = 40, NAME = 20, TOTAL = 18, SPACE = 6, PROFILE = 64, BELOW = 22, ROOM = 86;

export default function ({ data: [data], parentElement }) {
  const host = parentElement.querySelector(".host");
  const tip = tipOf(host);
  const count = data.panels[0].bands.length;
  const band = NAME + TOTAL + SPACE + PROFILE + BELOW;
  const tall = HEAD + count * band + 20;

  const pointed = (part, lines) => part.addEventListener("pointermove", (event) =>
    tip.show(event.clientX - host.getBoundingClientRect().left, lines));

  const drawBand = (of, place, width) => {
    const group = make("g", { transform: `translate(0 ${HEAD + place * band})` });
    group.append(make("circle", { cx: 5, cy: 9, r: 5, style: `fill: ${data.hues[place]}` }));
    group.append(make("text", { class: "name", x: 16, y: 13 }, cut(of.name, width - 16 - ROOM)));
    const scale = width - ROOM;
    let x = 0;
    of.parts.forEach((part) => {
      const wide = Math.max(0.5, part.share * scale);
      const rect = make("rect", { x, y: NAME, width: wide, height: TOTAL, style: `fill: var(--kind-${part.kind})` });
      pointed(rect, [of.name, part.text]);
      group.append(rect);
      x += wide;
    });
    group.append(make("text", { class: "total", x: x + 6, y: NAME + 13.5 }, of.total));
    const base = NAME + TOTAL + SPACE + PROFILE;
    group.append(make("line", { class: "axis", x1: 0, x2: width, y1: base + 0.5, y2: base + 0.5 }));
    of.columns.forEach((column) => {
      const high = Math.max(0.75, column.height * PROFILE);
      const gap = column.width * width > 8 ? 1.5 : 0;
      const rect = make("rect", { x: column.at * width + gap / 2, y: base - high, width: Math.max(0.5, column.width * width - gap), height: high,
        style: `fill: var(--kind-${column.kind})` });
      const whole = make("rect", { class: "catch", x: column.at * width, y: base - PROFILE, width: column.width * width, height: PROFILE });
      pointed(whole, [`${of.name} · ${column.label}`, column.text]);
      group.append(rect, whole);
    });
    return group;
  };

  const drawPanel = (panel, x, y, width) => {
    const group = make("g", { transform: `translate(${x} ${y})` });
    const text = make("text", { x: 0, y: 16 });
    text.append(make("tspan", { class: "title" }, panel.title), make("tspan", { class: "unit", dx: 8 }, panel.unit));
    group.append(text);
    panel.bands.forEach((of, place) => group.append(drawBand(of, place, width)));
    const end = HEAD + count * band;
    group.append(make("text", { class: "unit", x: 0, y: end }, "input"),
      make("text", { class: "unit", x: width, y: end, "text-anchor": "end" }, "output"));
    return group;
  };

  const draw = (width) => {
    const narrow = width < NARROW;
    const each = narrow ? width : (width - 2 * GAP) / 3;
    const height = narrow ? 3 * (tall + 16) : tall;
    const svg = make("svg", { width, height, role: "img", "aria-label": data.alt });
    data.panels.forEach((panel, i) =>
      svg.append(narrow ? drawPanel(panel, 0, i * (tall + 16), each) : drawPanel(panel, i * (each + GAP), 0, each)));
    svg.addEventListener("pointerleave", tip.hide);
    host.querySelector(":scope > svg")?.remove();
    host.prepend(svg);
    figureMenu(host, [["Download as SVG", () => savePicture(svg, data.name)]]);
  };

  return drawAtWidth(host, draw);
}
