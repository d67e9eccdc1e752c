// One row per class: its name, a bar divided by part, the number of images. The trigger `chosen` sends a click
// to Python; a click on the selected class, or Escape, clears the selection.
export default function ({ data: [data], parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  const totals = data.rows.map((row) => row.counts.reduce((a, b) => a + b, 0));
  const most = Math.max(1, ...totals);
  let chosen = data.rows.findIndex((row) => row.name === data.chosen);

  const legend = document.createElement("div");
  legend.className = "legend";
  data.parts.forEach((title) => {
    const entry = document.createElement("span");
    const mark = document.createElement("i");
    mark.className = `part-${title}`;
    entry.append(mark, title);
    legend.append(entry);
  });

  const list = document.createElement("div");
  list.className = "rows";
  list.style.setProperty("--height", `${data.height}px`);
  list.style.setProperty("--touched", `${data.touched}px`);
  list.tabIndex = 0;
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", `Images of each class, ${data.parts.join(", ")}; choose one to see its images`);
  const rows = data.rows.map((row, i) => {
    const part = document.createElement("div");
    const told = row.counts.map((count, j) => `${count.toLocaleString("en")} ${data.parts[j]}`).join(", ");
    part.className = "row";
    part.id = `class-${i}`;
    part.title = `${row.name}: ${told}`;
    part.setAttribute("role", "option");
    part.setAttribute("aria-label", part.title);
    const name = document.createElement("span"), bar = document.createElement("span"), count = document.createElement("span");
    name.className = "name"; name.textContent = row.short;
    bar.className = "bar";
    row.counts.forEach((value, j) => {
      if (!value) return;
      const length = document.createElement("span");
      length.className = `part-${data.parts[j]}`;
      length.style.width = `${(100 * value) / most}%`;
      bar.append(length);
    });
    count.className = "count"; count.textContent = totals[i].toLocaleString("en");
    part.append(name, bar, count);
    part.addEventListener("click", () => tell(i === chosen ? -1 : i));
    return part;
  });
  list.append(...rows);

  function mark(i) {
    chosen = i;
    rows.forEach((row, j) => {
      row.classList.toggle("chosen", j === i);
      row.setAttribute("aria-selected", j === i);
    });
    if (i >= 0) {
      list.setAttribute("aria-activedescendant", `class-${i}`);
      const top = rows[i].offsetTop - list.offsetTop;
      if (top < list.scrollTop || top + rows[i].offsetHeight > list.scrollTop + list.clientHeight) list.scrollTop = top - list.clientHeight / 2;
    } else list.removeAttribute("aria-activedescendant");
  }
  function tell(i) { mark(i); setTriggerValue("chosen", i < 0 ? "" : data.rows[i].name); }

  // Keyboard navigation is sent to Python once, when it pauses.
  list.addEventListener("keydown", (event) => {
    const last = rows.length - 1;
    const to = { ArrowDown: Math.min(last, chosen + 1), ArrowUp: Math.max(0, chosen - 1), Home: 0, End: last, Escape: -1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    mark(to);
    clearTimeout(host.pause);
    host.pause = setTimeout(() => tell(to), 180);
  });

  const scrolled = host.querySelector(".rows")?.scrollTop ?? 0;
  const focused = host.querySelector(".rows:focus") !== null;
  host.replaceChildren(legend, list);
  list.scrollTop = scrolled;
  mark(chosen);
  if (focused) list.focus({ preventScroll: true });
}
