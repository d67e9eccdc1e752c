// Treemap of parameters by block. A click, or the arrow keys, select a layer, which is sent to Python by
// the trigger `selected`.
const FRAME = 3, STRIP = 17;

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  const tip = tipOf(host);
  let chosen = data.selected, leaves = [];

  const choose = (name) => {
    chosen = name;
    leaves.forEach((leaf) => {
      const is = leaf.dataset.layer === chosen;
      leaf.classList.toggle("chosen", is);
      leaf.setAttribute("aria-selected", is);
      if (is) { leaf.parentNode.append(leaf); host.querySelector("svg").setAttribute("aria-activedescendant", leaf.id); }
    });
  };

  const onKey = (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by || !leaves.length) return;
    event.preventDefault();
    const at = leaves.findIndex((leaf) => leaf.dataset.layer === chosen);
    choose(leaves[(at + by + leaves.length) % leaves.length].dataset.layer);
    clearTimeout(host.pause);
    host.pause = setTimeout(() => setTriggerValue("selected", chosen), 180);
  };

  const draw = (width) => {
    const svg = make("svg", { width, height: data.height, role: "listbox", tabindex: 0, "aria-label": data.alt });
    leaves = [];
    svg.append(make("text", { class: "caption", x: 0, y: 13 }, cut(data.caption, width - 60)));
    place(svg, data.tree, 0, 22, width, data.height - 22, 0, []);
    leaves.forEach((leaf, i) => { leaf.id = `area-${i}`; });
    svg.addEventListener("keydown", onKey);
    svg.addEventListener("pointerleave", tip.hide);
    const focused = host.querySelector("svg:focus") !== null;
    host.querySelector("svg")?.remove();
    host.prepend(svg);
    figureMenu(host, [["Download as SVG", () => savePicture(svg, `${data.name}-parameters`)]]);
    choose(chosen);
    if (focused) svg.focus();
  };

  // A block's parts fill the area inside its frame, so deeply nested blocks look slightly smaller.
  const place = (svg, area, x, y, width, height, depth, path) => {
    if (width < 0.5 || height < 0.5) return;
    if (!area.parts.length) { svg.append(drawLeaf(area, x, y, width, height, path)); return; }
    if (depth) {
      const roomy = width > 40 && height > STRIP + 16;
      svg.append(make("rect", { class: "block", x: x + 0.5, y: y + 0.5, width: Math.max(0, width - 1), height: Math.max(0, height - 1), rx: 3 }));
      if (roomy) svg.append(make("text", { class: "block-name", x: x + 6, y: y + 13 }, heading(area, width - 10)));
      const edge = Math.min(FRAME, width / 10, height / 10), top = roomy ? STRIP : edge;
      x += edge; y += top; width -= 2 * edge; height -= top + edge;
    }
    const inner = depth ? [...path, area.label] : path;
    squarify(area.parts.filter((part) => part.value > 0), x, y, width, height)
      .forEach(([part, ...box]) => place(svg, part, ...box, depth + 1, inner));
  };

  const heading = (area, room) => {
    const full = `${area.label}  ${share(area)}`;
    return cut(full, room) === full ? full : cut(area.label, room);
  };
  const share = (area) => area.text.split(" · ")[1] || "";

  const drawLeaf = (area, x, y, width, height, path) => {
    const part = make("g", { class: `leaf ${area.kind}`, role: "option", "aria-label": `${[...path, area.label].join(", ")}: ${area.text}` });
    part.dataset.layer = area.name;
    const gap = Math.min(1, width / 6, height / 6);
    part.append(make("rect", { x: x + gap, y: y + gap, width: width - 2 * gap, height: height - 2 * gap, rx: Math.min(2, width / 4), style: `fill: var(--kind-${area.kind})` }));
    if (width > 34 && height > 18) part.append(make("text", { x: x + 7, y: y + 17 }, cut(area.label, width - 12)));
    if (width > 60 && height > 36) part.append(make("text", { class: "share", x: x + 7, y: y + 33 }, cut(share(area), width - 12)));
    part.addEventListener("click", () => { choose(area.name); setTriggerValue("selected", area.name); svgFocus(); });
    part.addEventListener("pointermove", (event) => tip.show(event.clientX - host.getBoundingClientRect().left, [area.name || area.label, area.text]));
    leaves.push(part);
    return part;
  };
  const svgFocus = () => host.querySelector("svg").focus({ preventScroll: true });

  return drawAtWidth(host, draw);
}
