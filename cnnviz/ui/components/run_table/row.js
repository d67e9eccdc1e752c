// One row of the table, of plain elements.
const el = (tag, className, text) => {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
};

// The checkbox of a run. The first few have the run's color in all figures.
const boxOf = (row, place, hues) => {
  const cell = el("td", "pick");
  const box = el("input");
  box.type = "checkbox";
  box.checked = place >= 0;
  box.setAttribute("aria-label", `Choose run ${row.id}, ${row.name}`);
  if (place >= 0 && place < hues.length) cell.style.setProperty("--hue", hues[place]);
  cell.append(box);
  return cell;
};

const nameOf = (row) => {
  const cell = el("td", "name");
  const open = el("button", "open", row.name);
  open.type = "button";
  open.title = row.notes || `Open the details of run ${row.id}`;
  if (row.differs) open.append(el("span", "differs", row.differs));
  cell.append(open, ...row.tags.map((tag) => el("span", "tag", tag)));
  return cell;
};

const stateOf = (row) => {
  const cell = el("td", "state");
  // "running, epoch 3 of 10": the epochs give way first where it is narrow; "imported, finished" is one.
  const [first, rest] = row.state.startsWith(row.status)
    ? [row.status, row.state.slice(row.status.length)]
    : [row.state, ""];
  const words = el("span", `dot ${row.status}`, first);
  words.append(el("span", "more", rest));
  if (row.error) words.title = row.error;
  cell.append(words);
  return cell;
};

const lineOf = (row, columns, place, hues) => {
  const line = el("tr");
  line.dataset.run = row.id;
  line.classList.toggle("chosen", place >= 0);
  line.append(boxOf(row, place, hues));
  columns.forEach(({ key, number, title }) => {
    if (key === "name") line.append(nameOf(row));
    else if (key === "status") line.append(stateOf(row));
    else {
      const cell = el("td", number ? `number ${key}` : key, String(row[key]));
      cell.dataset.title = title.replace(/^… /, "");
      line.append(cell);
    }
  });
  return line;
};
