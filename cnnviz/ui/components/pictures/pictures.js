// Cells cut out of one image by the browser, so that they wrap. Those that have a value can be chosen, by a
// click or with arrows and Enter, which is sent to Python by the trigger `chosen`.
const SHARP_BELOW = 100; // pixels of a cell: small pictures are enlarged in blocks, photographs smoothly

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  const tip = tipOf(host);
  const [high, wide] = data.size;
  const sheet = document.createElement("div");
  const all = data.lines.flatMap((line) => line.cells);
  const open = all.map((cell, i) => (cell.value ? i : -1)).filter((i) => i >= 0);
  sheet.className = "sheet";
  sheet.style.setProperty("--cell", `${data.cell}px`);
  const longest = Math.max(...data.lines.map((line) => line.short.length));
  sheet.style.setProperty("--label", `${Math.min(14, longest) + 1}ch`);
  sheet.style.setProperty("--aspect", `${wide} / ${high}`);
  sheet.setAttribute("role", open.length ? "listbox" : "img");
  sheet.setAttribute("aria-label", data.alt);
  if (open.length) sheet.tabIndex = 0;
  host.classList.toggle("sharp", Math.max(high, wide) < SHARP_BELOW);
  host.classList.toggle("captioned", data.captions !== null);
  host.classList.toggle("saved", data.name !== "");
  host.classList.toggle("labelled", data.lines.length > 1);
  host.classList.toggle("strip", data.strip);

  const png = `url(data:image/png;base64,${data.png})`;
  const span = [data.columns * (wide + data.gap), data.rows * (high + data.gap)];
  const share = (place, total, part) => (total > part ? (100 * place) / (total - part) : 0);
  let number = 0;
  const parts = [];
  data.lines.forEach((line) => {
    const row = document.createElement("div");
    row.className = "line";
    row.setAttribute("role", "presentation");
    if (line.label) {
      const label = document.createElement("div");
      label.className = "label";
      label.textContent = line.short;
      label.title = line.label;
      row.append(label);
    }
    const cells = document.createElement("div");
    cells.className = "cells";
    cells.setAttribute("role", "presentation");
    line.cells.forEach((cell) => { const part = draw(cell, number++); parts.push(part); cells.append(part); });
    row.append(cells);
    sheet.append(row);
  });

  function draw(cell, i) {
    const part = document.createElement("div");
    const shown = document.createElement("div");
    const x = (i % data.columns) * (wide + data.gap), y = Math.floor(i / data.columns) * (high + data.gap);
    part.className = `cell${cell.value ? " open" : ""}${cell.value && cell.value === data.chosen ? " chosen" : ""}`;
    part.id = `cell-${i}`;
    part.setAttribute("role", open.length ? "option" : "presentation");
    part.setAttribute("aria-label", cell.title);
    if (open.length) part.setAttribute("aria-selected", cell.value !== "" && cell.value === data.chosen);
    shown.className = "shown";
    shown.style.backgroundImage = png;
    shown.style.backgroundSize = `${(100 * span[0]) / wide}% ${(100 * span[1]) / high}%`;
    shown.style.backgroundPosition = `${share(x, span[0], wide)}% ${share(y, span[1], high)}%`;
    part.append(shown);
    if (data.captions) {
      const caption = document.createElement("div");
      caption.className = "caption";
      caption.textContent = data.captions[i];
      caption.title = cell.title;
      part.append(caption);
    } else {
      part.addEventListener("pointermove", (event) => {
        const box = host.getBoundingClientRect();
        tip.show(event.clientX - box.left, [cell.title]);
        host.querySelector(":scope > .tip").style.top = `${part.getBoundingClientRect().bottom - box.top + 6}px`;
      });
    }
    if (cell.value) part.addEventListener("click", () => { at(i); setTriggerValue("chosen", cell.value); });
    return part;
  }

  let place = all.findIndex((cell) => cell.value && cell.value === data.chosen);
  function at(i) {
    place = i;
    parts.forEach((part, j) => part.classList.toggle("at", j === i && document.activeElement !== null));
    sheet.setAttribute("aria-activedescendant", `cell-${i}`);
    parts[i].scrollIntoView({ block: "nearest" });
  }

  // Up and down go to the cell above or below, wherever the lines have wrapped.
  function beside(step) {
    const from = parts[place].getBoundingClientRect();
    const beyond = open.filter((i) => Math.sign(Math.round(parts[i].getBoundingClientRect().top - from.top)) === step);
    const near = (i) => { const box = parts[i].getBoundingClientRect();
      return Math.abs(box.top - from.top) * 1000 + Math.abs(box.left - from.left); };
    return beyond.sort((a, b) => near(a) - near(b))[0];
  }

  sheet.addEventListener("keydown", (event) => {
    const i = open.indexOf(place);
    const first = place < 0 ? open[0] : undefined;
    if (["Enter", " "].includes(event.key) && place >= 0) setTriggerValue("chosen", all[place].value);
    else if (event.key === "ArrowRight") go(first ?? open[i + 1]);
    else if (event.key === "ArrowLeft") go(first ?? open[i - 1]);
    else if (event.key === "ArrowDown") go(first ?? beside(1));
    else if (event.key === "ArrowUp") go(first ?? beside(-1));
    else if (event.key === "Home") go(open[0]);
    else if (event.key === "End") go(open[open.length - 1]);
    else return;
    event.preventDefault();
  });
  function go(i) { if (i !== undefined) at(i); }
  sheet.addEventListener("blur", () => parts.forEach((part) => part.classList.remove("at")));
  sheet.addEventListener("pointerleave", tip.hide);

  const focused = host.querySelector(".sheet:focus") !== null;
  host.querySelector(".sheet")?.remove();
  host.prepend(sheet);
  if (focused) sheet.focus({ preventScroll: true });
  if (data.strip && place >= 0) sheet.scrollLeft = parts[place].offsetLeft - (sheet.clientWidth - parts[place].clientWidth) / 2;

  if (!data.name) return;
  figureMenu(host, [["Download as PNG", () => {
    const link = document.createElement("a");
    link.href = `data:image/png;base64,${data.png}`;
    link.download = `${data.name}.png`;
    link.click();
  }]]);
}
