// Consecutive rows of one group, if there are several: a header row folds and opens them. The host
// remembers which are open; where a run of a group is chosen it is.
const groupsOf = (rows) => {
  const groups = [];
  rows.forEach((row, i) => {
    const last = groups.at(-1);
    if (row.group && last?.name === row.group && last.end === i) last.end = i + 1;
    else groups.push({ name: row.group, start: i, end: i + 1 });
  });
  return groups.filter(({ name, start, end }) => name && end - start > 1);
};

const groupLineOf = ({ name, start, end }, rows, width, open, toggle) => {
  const line = el("tr", "group"), cell = el("td", "fold"), button = el("button", "unfold");
  const states = new Map();
  rows.slice(start, end).forEach(({ status }) => states.set(status, (states.get(status) ?? 0) + 1));
  const words = [...states].map(([status, count]) => `${count} ${status}`).join(", ");
  button.type = "button";
  button.setAttribute("aria-expanded", String(open));
  button.append(el("span", "twist", open ? "▾" : "▸"), el("b", "", name), el("span", "differs", `${end - start} runs: ${words}`));
  button.onclick = toggle;
  cell.colSpan = width;
  cell.append(button);
  line.append(el("td", "pick"), cell);
  return line;
};

// Lay out rows and groups; return the visible rows.
function layOut(host, body, lines, data, changed) {
  const unfolded = (host.unfolded ??= new Set()), groups = groupsOf(data.rows), shown = [];
  body.replaceChildren(...lines.flatMap((line, i) => {
    const group = groups.find(({ start, end }) => start <= i && i < end);
    const open = !group || unfolded.has(group.name) || data.rows.slice(group.start, group.end).some(({ id }) => data.chosen.includes(id));
    if (open) shown.push(line);
    if (!group) return [line];
    const head = () => groupLineOf(group, data.rows, data.columns.length, open, () => {
      unfolded[open ? "delete" : "add"](group.name);
      changed();
      [...body.querySelectorAll(".unfold")].find((button) => button.textContent.includes(group.name))?.focus();
    });
    return [...(i === group.start ? [head()] : []), ...(open ? [line] : [])];
  }));
  return shown;
}
