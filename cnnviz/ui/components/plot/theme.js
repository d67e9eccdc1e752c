// Plotly reads hexadecimal and rgb colours only. What CSS knows beyond (light-dark(), var(), color-mix()) is worked
// out by the browser: written on a probe, read back as numbers of red, green and blue.
const CSS_COLOUR = /^(light-dark|var|color-mix)\(/;

function paletteOf(host) {
  const probe = document.createElement("span");
  probe.hidden = true;
  host.append(probe);
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const read = (css) => {
    if (!known.has(css)) {
      probe.style.color = "";
      probe.style.color = css;
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = getComputedStyle(probe).color;
      canvas.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
      known.set(css, `rgba(${red},${green},${blue},${Math.round(alpha / 2.55) / 100})`);
    }
    return known.get(css);
  };
  return { read, done: () => probe.remove() };
}

function resolved(value, read) {
  if (typeof value === "string") return CSS_COLOUR.test(value) ? read(value) : value;
  if (Array.isArray(value)) {
    const numbers = typeof value[0] === "number" && typeof value.at(-1) === "number"; // and not a stop of a scale
    return numbers ? value : value.map((part) => resolved(part, read));
  }
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, resolved(part, read)]));
}

// What every figure has unless it says otherwise.
function templateOf(read, font) {
  const text = read("var(--st-text-color)"), line = read("var(--st-border-color)");
  const faint = read("color-mix(in srgb, var(--st-text-color) 75%, transparent)");
  const axis = { gridcolor: read("color-mix(in srgb, var(--st-border-color) 65%, transparent)"), linecolor: line,
    zerolinecolor: line, zeroline: false, tickcolor: line, tickfont: { color: faint }, automargin: true,
    title: { font: { size: 12, color: faint }, standoff: 6 } };
  return { layout: {
    font: { family: font, size: 12, color: text },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 44, r: 12, t: 8, b: 36 },
    xaxis: axis, yaxis: axis,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } },
    hoverlabel: { bgcolor: read("var(--st-background-color)"), bordercolor: line, font: { color: text, size: 12, family: font } },
    coloraxis: { colorbar: { outlinewidth: 0, thickness: 10 } },
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom", // a finger scrolls the page
  } };
}
