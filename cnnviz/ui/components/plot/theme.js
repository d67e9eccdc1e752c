// A figure's template is the page's theme. Its own colors are those of one theme; `layout.meta` has the other's.
const isDark = (host) => /\bdark\b/.test(getComputedStyle(host).colorScheme);

function themed(figure, host) {
  const theme = isDark(host) ? "dark" : "light", { theme: drawnFor = theme, other = {} } = figure.layout.meta ?? {};
  const { data, layout } = drawnFor === theme ? figure : recolored(figure, other);
  return { data, layout: { ...layout, template: templateOf(theme, getComputedStyle(host).getPropertyValue("--st-font")) } };
}

function recolored(value, colors) {
  if (typeof value === "string") return Object.hasOwn(colors, value) ? colors[value] : value;
  if (Array.isArray(value)) {
    const numbers = typeof value[0] === "number" && typeof value.at(-1) === "number"; // and not a stop of a scale
    return numbers ? value : value.map((part) => recolored(part, colors));
  }
  if (value === null || typeof value !== "object" || isEncoded(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, recolored(part, colors)]));
}

// Python's, on the page: its font, its ground, and a finger that scrolls the page instead of zooming.
function templateOf(theme, font) {
  const { layout } = TEMPLATES[theme];
  return { layout: {
    ...layout, font: { ...layout.font, family: font },
    hoverlabel: { ...layout.hoverlabel, font: { ...layout.hoverlabel.font, family: font } },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    dragmode: matchMedia("(pointer: coarse)").matches ? false : layout.dragmode,
  } };
}
