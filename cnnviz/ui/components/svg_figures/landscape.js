const USES = [10, 100, 1000];

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  const open = (point) => setTriggerValue("picked", point.name);
  drawGroups(parentElement.querySelector(".groups"), host, data.groups);
  return drawAtWidth(host, (width) => {
    // Redrawing at another width keeps the keyboard focus.
    const focused = host.querySelector(".point:focus")?.dataset.name;
    host.querySelector(":scope > svg")?.remove();
    const drawn = drawLandscape(data, width, data.height - parentElement.querySelector(".groups").offsetHeight - 14);
    host.prepend(drawn.svg);
    listen(host, drawn, open);
    const again = drawn.points.find((point) => point.name === focused);
    if (again) focusOn(drawn.points, again);
    figureMenu(host, [["Download as SVG", () => savePicture(drawn.svg, "parameters-against-multiply-adds")]]);
  });
}

function drawGroups(place, host, groups) {
  place.replaceChildren(...groups.map(({ title, families, colour }, number) => {
    const button = document.createElement("button");
    button.type = "button";
    button.title = families;
    button.setAttribute("aria-pressed", "false");
    button.style.setProperty("--hue", colour);
    button.append(title);
    button.onclick = () => {
      const chosen = host.dataset.group === String(number) ? "" : String(number);
      host.dataset.group = chosen;
      [...place.children].forEach((other, i) => other.setAttribute("aria-pressed", String(chosen === String(i))));
    };
    return button;
  }));
  const ours = document.createElement("span");
  ours.textContent = "ringed: the articles’ models";
  place.append(ours);
}

function drawLandscape(data, width, height) {
  const scale = scales(data.points, width, height);
  const svg = make("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": data.alt });
  svg.append(...drawAxes(scale, width, height));
  const points = data.points.map((point) => ({ ...point, x: scale.x(point.macs), y: scale.y(point.params), r: point.ours ? 6.5 : 5 }));
  for (const point of points) {
    const mark = make("circle", {
      cx: point.x.toFixed(1), cy: point.y.toFixed(1), r: point.r, class: `point${point.ours ? " ours" : ""}`, role: "link", tabindex: -1,
      "data-group": point.group, "data-name": point.name, "aria-label": `${point.title}: ${point.facts.join(", ")}`,
    });
    mark.style.setProperty("--hue", data.groups[point.group].colour);
    point.mark = mark;
    svg.append(mark);
  }
  for (const { point, x, y, anchor } of placeLabels(points, width, height)) {
    svg.append(make("text", { x, y, "text-anchor": anchor, class: `name${point.ours ? " ours" : ""}`, "data-group": point.group, "aria-hidden": "true" }, point.title));
  }
  return { svg, points };
}

function drawAxes(scale, width, height) {
  const [left, right, top, bottom] = [FRAME.left, width - FRAME.right, FRAME.top, height - FRAME.bottom];
  const parts = [];
  for (const value of scale.ticks.x) {
    const x = scale.x(value);
    parts.push(make("path", { class: "grid", d: `M${x} ${top}V${bottom}` }), make("text", { class: "tick", x, y: bottom + 17, "text-anchor": "middle" }, inShort(value)));
  }
  for (const value of scale.ticks.y) {
    const y = scale.y(value);
    parts.push(make("path", { class: "grid", d: `M${left} ${y}H${right}` }), make("text", { class: "tick", x: left - 8, y: y + 4, "text-anchor": "end" }, inShort(value)));
  }
  for (const times of USES) {
    const line = useLine(scale, times, width, height);
    if (!line) continue;
    const [[x1, y1], [x2, y2]] = line;
    parts.push(make("path", { class: "use", d: `M${x1} ${y1}L${x2} ${y2}` }));
    const angle = (Math.atan2(y2 - y1, x2 - x1) * 180) / Math.PI;
    const words = width < 600 ? `${times.toLocaleString("en")}×` : `weight reuse ${times.toLocaleString("en")}×`;
    const at = [x1 + (x2 - x1) * 0.13, y1 + (y2 - y1) * 0.13];
    parts.push(make("text", { class: "use", transform: `translate(${at}) rotate(${angle}) translate(0 -5)` }, words));
  }
  parts.push(make("text", { class: "axis", x: right, y: bottom + 35, "text-anchor": "end" }, "multiply-adds for one image →"));
  parts.push(make("text", { class: "axis", x: 0, y: 10 }, "↑ parameters"));
  parts.forEach((part) => part.setAttribute("aria-hidden", "true"));
  return parts;
}

// Points are close together, so the nearest to the pointer is used. A first tap shows the tooltip, a second opens.
function listen(host, { svg, points }, open) {
  const tip = tipOf(host);
  let shown;
  const show = (point) => {
    shown?.mark.classList.remove("near");
    shown = point;
    if (!point) {
      tip.hide();
      delete host.dataset.near;
      return;
    }
    point.mark.classList.add("near");
    host.dataset.near = point.group;
    tip.show(point.x, [point.title, ...point.facts]);
    const box = host.querySelector(":scope > .tip");
    box.style.top = `${Math.max(0, Math.min(point.y - 20, svg.clientHeight - box.offsetHeight))}px`;
  };
  const under = (event) => {
    const { left, top } = svg.getBoundingClientRect();
    return nearestTo(points, event.clientX - left, event.clientY - top);
  };
  // A scroll moves the figure under a still mouse, which must not take the tooltip from the point with the focus.
  const focused = () => points.find(({ mark }) => mark.matches(":focus"));
  svg.onpointermove = (event) => { if (event.pointerType === "mouse") show(under(event) ?? focused()); };
  svg.onpointerleave = (event) => { if (event.pointerType === "mouse") show(focused()); };
  svg.onclick = (event) => {
    const point = under(event);
    if (point && (event.pointerType === "mouse" || point === shown)) open(point);
    else show(point);
  };
  points.forEach((point) => {
    point.mark.onfocus = () => show(point);
    point.mark.onblur = () => show(undefined);
    point.mark.onkeydown = (event) => {
      const next = event.key.startsWith("Arrow") ? neighbour(points, point, event.key) : undefined;
      if (event.key === "Enter") open(point);
      else if (next) focusOn(points, next);
      else return;
      event.preventDefault();
    };
    point.mark.onpointerdown = (event) => event.preventDefault();
  });
  points.at(-1).mark.setAttribute("tabindex", 0);
}

function focusOn(points, next) {
  for (const { mark } of points) mark.setAttribute("tabindex", -1);
  next.mark.setAttribute("tabindex", 0);
  next.mark.focus();
}
