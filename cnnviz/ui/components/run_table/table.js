// The table. A tick is drawn at once; every action is sent to Python by the trigger `act`, which answers
// with new data. One row is in the order of Tab; arrows go to its neighbors.
export default function ({ data: [data], parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  const act = (what, more) => setTriggerValue("act", { do: what, ...more });
  const old = host.querySelector(".scroll");
  const [top, left] = [old?.scrollTop ?? 0, old?.scrollLeft ?? 0];
  const focused = spotOf(parentElement.activeElement);

  const scroll = el("div", "scroll");
  const table = el("table");
  table.setAttribute("aria-label", `Runs: ${data.said}`);
  const body = el("tbody");
  const lines = data.rows.map((row) => lineOf(row, data.columns, data.chosen.indexOf(row.id), data.hues));
  let shown = [];
  const lay = () => { shown = layOut(host, body, lines, data, () => { lay(); stop(0); }); };
  lay();
  table.append(headOf(data, act), body);
  scroll.append(table);
  host.replaceChildren(scroll, footOf(data, act));
  scroll.scrollTo(left, top);

  let chosen = [...data.chosen];
  let anchor = null;
  const choose = (run, on, range) => {
    const wanted = new Set(range ? between(data.rows, anchor ?? run, run) : [run]);
    chosen = chosen.filter((id) => !wanted.has(id)).concat(on ? data.rows.map(({ id }) => id).filter((id) => wanted.has(id)) : []);
    anchor = run;
    lines.forEach((line, i) => mark(line, chosen.indexOf(data.rows[i].id), data.hues));
    act("choose", { runs: chosen });
  };

  const stop = (place) => {
    shown.forEach((line, i) => line.querySelectorAll("input, button").forEach((part) => { part.tabIndex = i === place ? 0 : -1; }));
  };
  const go = (place, what) => {
    const to = Math.max(0, Math.min(shown.length - 1, place));
    if (!shown.length) return;
    stop(to);
    shown[to].querySelector(what).focus();
  };

  body.onclick = (event) => {
    const line = event.target.closest("tr[data-run]");
    if (!line) return;
    const run = Number(line.dataset.run);
    if (event.target.closest(".open")) act("open", { run });
    else if (event.target.matches("input")) choose(run, event.target.checked, event.shiftKey);
    else if (!String(getSelection())) choose(run, !chosen.includes(run), event.shiftKey);
  };
  body.onkeydown = (event) => {
    const place = shown.indexOf(event.target.closest("tr"));
    if (place < 0) return;
    const what = event.target.matches("input") ? "input" : ".open";
    const steps = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: shown.length - 1 };
    if (event.key in steps) go(steps[event.key], what);
    else if (event.key === "ArrowRight") go(place, ".open");
    else if (event.key === "ArrowLeft") go(place, "input");
    else if (event.key === "Enter" && what === "input") act("open", { run: Number(shown[place].dataset.run) });
    else return;
    event.preventDefault();
  };
  body.onfocusin = (event) => { if (event.target.closest("tr[data-run]")) stop(shown.indexOf(event.target.closest("tr"))); };
  stop(0);
  if (focused) lines.find((line) => line.dataset.run === focused.run)?.querySelector(focused.what)?.focus({ preventScroll: true });
}

const spotOf = (element) => {
  const line = element?.closest?.("tr[data-run]");
  return line ? { run: line.dataset.run, what: element.matches("input") ? "input" : ".open" } : null;
};

const between = (rows, one, other) => {
  const places = [one, other].map((run) => rows.findIndex(({ id }) => id === run)).sort((a, b) => a - b);
  return rows.slice(Math.max(0, places[0]), places[1] + 1).map(({ id }) => id);
};

const mark = (line, place, hues) => {
  line.classList.toggle("chosen", place >= 0);
  line.querySelector("input").checked = place >= 0;
  const cell = line.querySelector(".pick");
  if (place >= 0 && place < hues.length) cell.style.setProperty("--hue", hues[place]);
  else cell.style.removeProperty("--hue");
};

const headOf = (data, act) => {
  const head = el("thead");
  const line = el("tr");
  line.append(el("td", "pick"));
  data.columns.forEach(({ key, title, help, number }) => {
    const cell = el("th", number ? `number ${key}` : key);
    cell.scope = "col";
    const button = el("button", "sort", title);
    button.type = "button";
    button.title = help;
    const sorted = data.sort === key;
    if (sorted) cell.setAttribute("aria-sort", data.descending ? "descending" : "ascending");
    button.append(el("span", "arrow", sorted ? (data.descending ? "↓" : "↑") : ""));
    button.onclick = () => act("sort", { column: key });
    cell.append(button);
    line.append(cell);
  });
  head.append(line);
  return head;
};

const footOf = (data, act) => {
  const foot = el("div", "foot");
  foot.append(el("span", "said", data.said));
  if (data.pages > 1) {
    const step = (label, title, page) => {
      const button = el("button", "turn", label);
      button.type = "button";
      button.title = title;
      button.setAttribute("aria-label", title);
      button.disabled = page < 1 || page > data.pages;
      button.onclick = () => act("page", { page });
      return button;
    };
    foot.append(step("‹", "Page before", data.page - 1), el("span", "", `page ${data.page} of ${data.pages}`), step("›", "Next page", data.page + 1));
  }
  foot.append(el("span", "hint", "Tick to compare, Shift for all between · ↑ ↓ rows · Enter opens"));
  return foot;
};
