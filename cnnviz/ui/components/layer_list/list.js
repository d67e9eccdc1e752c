// The list. The selected row changes at once; every action is sent to Python by the trigger
// `act`, which answers with new data. Arrow keys select, with Alt they move the row.
const PAUSE_MS = 180;

export default function ({ data: [data], parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  const act = (what, place = 0, to = 0) => setTriggerValue("act", { do: what, place, to });
  const before = host.querySelector(".lines");
  const scrolled = before?.scrollTop ?? 0;
  const focused = before?.contains(parentElement.activeElement ?? null) ?? false;
  let chosen = data.place;

  const list = el("ol", "lines");
  list.setAttribute("aria-label", data.title);
  data.rows.forEach((row, place) => {
    const item = lineOf(row, place);
    if (row.problem) item.append(trouble(row.problem, data.fixes, (number) => act("fix", place, number)));
    list.append(item);
  });
  const lines = [...list.querySelectorAll(".line")];

  const mark = (place) => {
    chosen = place;
    lines.forEach((line, i) => {
      line.classList.toggle("chosen", i === place);
      line.tabIndex = i === place ? 0 : -1;
      if (i === place) line.setAttribute("aria-current", "true");
      else line.removeAttribute("aria-current");
    });
  };

  // Keyboard navigation is sent to Python once, when it pauses.
  const walk = (place) => {
    const to = Math.max(0, Math.min(lines.length - 1, place));
    mark(to);
    lines[to].focus();
    clearTimeout(host.pause);
    host.pause = setTimeout(() => act("select", to), PAUSE_MS);
  };

  const carry = (step) => {
    const to = chosen + step;
    if (to >= 0 && to < lines.length) act("move", chosen, to);
  };

  const onKey = (event) => {
    if (event.target.closest(".fix")) return;
    const steps = { ArrowUp: -1, ArrowDown: 1 };
    const command = event.ctrlKey || event.metaKey;
    const key = event.key.toLowerCase();
    if (event.key in steps) event.altKey ? carry(steps[event.key]) : walk(chosen + steps[event.key]);
    else if (event.key === "Home") walk(0);
    else if (event.key === "End") walk(lines.length - 1);
    else if (event.key === "Delete" || event.key === "Backspace") act("remove", chosen);
    else if (command && key === "z") act(event.shiftKey ? "redo" : "undo");
    else if (command && key === "y") act("redo");
    else if (command && key === "d") act("duplicate", chosen);
    else return;
    event.preventDefault();
  };

  list.addEventListener("keydown", onKey);
  list.addEventListener("click", (event) => {
    const line = event.target.closest(".line");
    if (!line || event.target.closest(".grip")) return;
    clearTimeout(host.pause);
    mark(Number(line.dataset.place));
    act("select", chosen);
  });
  const stopDragging = dragging(list, (from, to) => act("move", from, to));

  const hint = el("p", "hint", "↑ ↓ choose · Alt + ↑ ↓ move · Delete removes · Ctrl + D duplicates · Ctrl + Z takes back");
  host.replaceChildren(heads(), list, hint);
  mark(chosen);
  list.scrollTop = scrolled;
  const line = lines[chosen];
  if (line && focused) line.focus({ preventScroll: true });
  if (line && (line.offsetTop < list.scrollTop || line.offsetTop + line.offsetHeight > list.scrollTop + list.clientHeight))
    list.scrollTop = line.offsetTop - list.clientHeight / 3;

  return stopDragging;
}
