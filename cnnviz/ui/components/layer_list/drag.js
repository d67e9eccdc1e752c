// Drag and drop of a row by its grip, with mouse, pen or touch: a line shows the drop position.
const dragging = (list, onDrop) => {
  let from = -1, to = -1;
  const rule = el("div", "rule");

  const items = () => [...list.querySelectorAll("li")];

  // The gap nearest to the pointer, as the number of rows above it.
  const gapAt = (y) => items().filter((item) => {
    const box = item.getBoundingClientRect();
    return y > box.top + box.height / 2;
  }).length;

  const show = (gap) => {
    const all = items();
    const edge = gap < all.length ? all[gap].offsetTop : all[all.length - 1].offsetTop + all[all.length - 1].offsetHeight;
    rule.style.top = `${edge - 1}px`;
    to = gap > from ? gap - 1 : gap;
  };

  const stop = (drop) => {
    if (from >= 0 && drop && to !== from) onDrop(from, to);
    items()[from]?.classList.remove("dragged");
    rule.remove();
    from = to = -1;
  };

  list.addEventListener("pointerdown", (event) => {
    const grip = event.target.closest(".grip");
    if (!grip || event.button > 0) return;
    event.preventDefault();
    from = Number(grip.closest(".line").dataset.place);
    to = from;
    items()[from].classList.add("dragged");
    list.append(rule);
    show(from);
    list.setPointerCapture(event.pointerId);
  });
  list.addEventListener("pointermove", (event) => {
    if (from < 0) return;
    const box = list.getBoundingClientRect();
    if (event.clientY < box.top + 24) list.scrollTop -= 12;
    if (event.clientY > box.bottom - 24) list.scrollTop += 12;
    show(gapAt(event.clientY));
  });
  list.addEventListener("pointerup", () => stop(true));
  list.addEventListener("pointercancel", () => stop(false));
  return () => stop(false);
};
