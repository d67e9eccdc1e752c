// Download: the same SVG, whole and at its own size, with its colors inlined.

function svgFile(svg, picture, style) {
  const margin = 16;
  const copy = svg.cloneNode(true);
  const computed = getComputedStyle(svg);
  const size = { width: Math.ceil(picture.w + 2 * margin), height: Math.ceil(picture.h + 2 * margin) };
  copy.setAttribute("viewBox", `${-margin} ${-margin} ${size.width} ${size.height}`);
  for (const [name, value] of Object.entries(size)) copy.setAttribute(name, value);
  copy.querySelector(".view").removeAttribute("transform");
  copy.classList.remove("entered");
  const names = new Set(style.match(/var\((--[\w-]+)/g).map((use) => use.slice(4)));
  const values = [...names].map((name) => `${name}: ${written(svg, name, computed)};`);
  const css = element("style", {}, [`svg { ${values.join(" ")} }\n${style.replace(/--[\w-]+:[^;]+;/g, "")}`]);
  const ground = element("rect", { x: -margin, y: -margin, ...size, fill: "var(--ground)" });
  copy.prepend(css, ground);
  return new XMLSerializer().serializeToString(copy);
}

// A color resolved for the current theme, since a file cannot read the page's.
function written(svg, name, computed) {
  const value = computed.getPropertyValue(name).trim();
  if (!/light-dark|color-mix/.test(value)) return value;
  const probe = element("g", { style: `color: ${value}` });
  svg.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

function offerFile(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
