export default function ({ data: [data], parentElement }) {
  const host = parentElement.querySelector(".host");
  const drawn = new DOMParser().parseFromString(data.svg, "image/svg+xml").documentElement;
  host.querySelector(":scope > svg")?.remove();
  host.prepend(drawn);
  figureMenu(host, [["Download as SVG", () => savePicture(drawn, data.name)]]);
}
