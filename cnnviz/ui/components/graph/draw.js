// Drawing as SVG. Colors come from the style sheet, so that nothing here depends on the theme.

const SVG = "http://www.w3.org/2000/svg";

function element(name, attributes = {}, children = []) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Frames first, then lines, then boxes, so that lines cross the frames they enter and end at boxes.
function drawPicture(picture, titles) {
  const frames = picture.items.filter((item) => item.type === "open");
  const boxes = picture.items.filter((item) => item.type !== "open");
  return [
    element("g", { "aria-hidden": "true" }, frames.map(drawFrame)),
    element("g", { "aria-hidden": "true", class: "lines" }, picture.lines.map(drawLine)),
    element("g", {}, [...frames.map(drawHeader), ...boxes.map((item) => drawBox(item, titles))]),
  ];
}

function drawFrame({ x, y, w, h, depth, training }) {
  return element("rect", { class: `frame ${depth % 2 ? "odd" : "even"}${training ? " training" : ""}`, x, y, width: w, height: h, rx: 8 });
}

function drawHeader(item) {
  const { x, y, w, label, note } = item;
  return element("g", { ...button(item), class: "item open", "aria-expanded": "true", "aria-label": `${describe(item)}, open` }, [
    element("path", { class: "header", d: `M${x} ${y + SIZE.header}v${8 - SIZE.header}q0 -8 8 -8h${w - 16}q8 0 8 8v${SIZE.header - 8}z` }),
    element("path", { class: "mark", d: `M${x + 9} ${y + 10}h8l-4 5.5z` }),
    element("text", { x: x + 23, y: y + 16.5 }, [
      element("tspan", { class: "label" }, [label]),
      element("tspan", { class: "note", dx: 7 }, [note]),
    ]),
    ...badge(item, x + w - 8, y + 12),
  ]);
}

function drawBox(item, titles) {
  const { x, y, w, h, label, note, type, training, repeats } = item;
  const closed = type === "closed";
  const shadow = closed && repeats > 1 ? [element("rect", { class: "box behind", x: x + 5, y: y + 5, width: w, height: h, rx: 6 })] : [];
  const end = item.row === null;
  const kind = closed || end ? "" : `, ${titles[item.kinds[0]]}`;
  return element("g", {
    ...button(item),
    class: `item ${type}${training ? " training" : ""}${end ? " end" : ""}`,
    "aria-expanded": closed ? "false" : undefined,
    "aria-label": `${describe(item)}${kind}${training ? ", only while training" : ""}${closed ? ", closed" : ""}`,
  }, [
    ...shadow,
    element("rect", { class: "box", x, y, width: w, height: h, rx: end ? h / 2 : 6 }),
    ...(end ? [] : stripes(item)),
    ...(closed ? [element("path", { class: "mark", d: `M${x + 15} ${y + 12}v8l5.5-4z` })] : []),
    element("text", { class: "label", x: x + (closed ? 26 : end ? 20 : 14), y: y + (closed ? 20.5 : 17) }, [clipped(label, w - (closed ? 56 : 20), SIZE.letter)]),
    element("text", { class: "note", x: x + (end ? 20 : 14), y: y + (closed ? 36.5 : 31.5) }, [clipped(note, w - 18, SIZE.small)]),
    ...badge(item, x + w - 6, y + 15),
    element("title", {}, [`${item.name || label}\n${note}`]),
  ]);
}

// A container's stripe shows the kinds of its layers in order, from the first at the top.
function stripes({ x, y, h, kinds }) {
  const shown = kinds.length > 16 ? Array.from({ length: 16 }, (_, i) => kinds[Math.floor((i * kinds.length) / 16)]) : kinds;
  const tall = (h - 8) / shown.length;
  return shown.map((kind, i) => element("rect", {
    class: `kind-${kind}`, x: x + 4, y: (y + 4 + i * tall).toFixed(2), width: 4, height: (tall + (i < shown.length - 1 ? 0.3 : 0)).toFixed(2),
  }));
}

function badge({ repeats }, right, middle) {
  if (repeats < 2) return [];
  const text = `×${repeats}`;
  const width = text.length * 7 + 8;
  return [element("g", { class: "badge", "data-unfold": "" }, [
    element("rect", { x: right - width, y: middle - 8, width, height: 16, rx: 8 }),
    element("text", { x: right - width / 2, y: middle + 4, "text-anchor": "middle" }, [text]),
    element("title", {}, [`${repeats} equal blocks; click to show each`]),
  ])];
}

function button(item) {
  return { role: "button", tabindex: -1, "data-item": item.id };
}

function describe({ name, label, note, repeats }) {
  const times = repeats > 1 ? `, ${repeats} times` : "";
  return `${label}${name && name !== label ? ` (${name})` : ""}, ${note}${times}`;
}

function clipped(text, room, letter) {
  const most = Math.floor(room / letter);
  return text.length <= most ? text : `${text.slice(0, Math.max(1, most - 1))}…`;
}

function drawLine({ points, arrow, back, training, from, to }) {
  return element("path", {
    class: `line${training ? " training" : ""}`,
    d: pathOf(points),
    "marker-end": arrow && !back ? "url(#arrow)" : undefined,
    "marker-start": back ? "url(#arrow)" : undefined,
    "data-from": from,
    "data-to": to,
  });
}

// Straight where two points share a side, rounded where straight pieces meet at a right angle, curved elsewhere.
function pathOf(all) {
  const points = all.filter((point, i) => i === 0 || length(point, all[i - 1]) > 0.01);
  let path = `M${spot(points[0])}`;
  for (let i = 1; i < points.length; i++) {
    const [a, b, c] = [points[i - 1], points[i], points[i + 1]];
    if (straight(a, b) && c && straight(b, c) && (a[0] === b[0]) !== (b[0] === c[0])) {
      const r = Math.min(8, length(a, b) / 2, length(b, c) / 2);
      path += `L${spot(toward(b, a, r))}Q${spot(b)} ${spot(toward(b, c, r))}`;
    } else if (straight(a, b)) path += `L${spot(b)}`;
    else {
      const middle = (a[1] + b[1]) / 2;
      path += `C${spot([a[0], middle])} ${spot([b[0], middle])} ${spot(b)}`;
    }
  }
  return path;
}

// Legend of the kinds that occur.
function drawLegend(graph, titles) {
  const present = new Set(graph.nodes.filter(({ row }) => row !== null).map(({ kind }) => kind));
  return Object.keys(titles).filter((kind) => present.has(kind)).map((kind) => {
    const entry = document.createElement("li");
    const square = element("svg", { viewBox: "0 0 9 9", "aria-hidden": "true" }, [element("rect", { class: `kind-${kind}`, width: 9, height: 9, rx: 2 })]);
    entry.append(square, titles[kind]);
    return entry;
  });
}

const straight = (a, b) => a[0] === b[0] || a[1] === b[1];
const length = (a, b) => Math.abs(a[0] - b[0]) + Math.abs(a[1] - b[1]);
const spot = ([x, y]) => `${+x.toFixed(1)} ${+y.toFixed(1)}`;

function toward(from, to, distance) {
  return [from[0] + Math.sign(to[0] - from[0]) * distance, from[1] + Math.sign(to[1] - from[1]) * distance];
}
