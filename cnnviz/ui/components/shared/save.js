// Save an SVG as it looks now: colors of the page's theme are inlined in the copy.
const CARRIED_STYLES = ["fill", "stroke", "stroke-width", "opacity", "font-family", "font-size", "font-weight", "text-anchor"];

function savePicture(svg, name) {
  const copy = svg.cloneNode(true);
  const drawn = svg.querySelectorAll("*");
  copy.querySelectorAll("*").forEach((part, i) => {
    const style = getComputedStyle(drawn[i]);
    if (style.display === "none" || style.visibility === "hidden") { part.remove(); return; }
    CARRIED_STYLES.forEach((property) => part.style.setProperty(property, style.getPropertyValue(property)));
  });
  const paper = getComputedStyle(svg).getPropertyValue("--st-background-color").trim();
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.style.background = paper;
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([copy.outerHTML], { type: "image/svg+xml" }));
  link.download = `${name}.svg`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
