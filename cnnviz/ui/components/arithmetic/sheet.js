// The computation of one cell on one canvas, from the inputs down to the result.
const LINE = 23;

function limitsOf(view, worked) {
  const windows = worked.windows.length ? worked.windows : worked.contributions.map((one) => ({ products: [[one.product]], total: one.product, weights: [[one.weight]] }));
  return {
    values: view.limits.values,
    weights: largest(windows.flatMap((one) => one.weights ?? []).flat()),
    products: largest(windows.flatMap((one) => one.products ?? []).flat()),
    totals: largest(windows.map((one) => one.total)),
  };
}

function extrasOf(view, worked, plan) {
  const lines = [];
  const rest = plan.all - plan.shown;
  if (rest > 0 && worked.windows.length) {
    const told = rowsOf(worked, plan.shown).reduce((sum, row) => sum + row.total, 0);
    const total = worked.windows.reduce((sum, row) => sum + row.total, 0);
    lines.push({ label: rest === 1 ? "the other map" : `the other ${rest.toLocaleString("en")} maps`, value: total - told });
  }
  if (rest > 0 && !worked.windows.length && view.kind !== "softmax") {
    const told = worked.contributions.slice(0, plan.shown).reduce((sum, one) => sum + one.product, 0);
    const total = worked.steps.find((step) => step.label.startsWith("sum of the"))?.value ?? told;
    lines.push({ label: `the other ${(worked.inputs - plan.shown).toLocaleString("en")} inputs`, value: total - told });
  }
  const steps = worked.steps.filter((step) => !/largest products|other .* products/.test(step.label));
  return [...lines, ...steps.map((step, i) => ({ ...step, last: i === steps.length - 1 }))];
}

function leftOutWords(view, worked) {
  if (!worked.left_out.length) return "";
  const listed = worked.left_out.length > 12 ? `${worked.left_out.length} maps` : `maps ${worked.left_out.join(", ")}`;
  return view.settings.connections ? `Left out by the table of connections: ${listed}.` : `In other groups, not seen: ${listed}.`;
}

function heightOf(view, worked, plan) {
  return 30 + plan.shown * plan.height + 10 + extrasOf(view, worked, plan).length * LINE + 8
    + (worked.left_out.length ? LINE : 0) + (worked.note ? LINE : 0) + (worked.curve ? 170 : 0) + LINE;
}

function drawSheet(ink, view, worked, width) {
  const plan = planOf(view, worked, width), limits = limitsOf(view, worked);
  write(ink, worked.formula, 0, 12, { size: 14, weight: 600 });
  let y = 30;
  rowsOf(worked, plan.shown).forEach((row) => {
    const { winner } = worked;
    const mark = winner && [(winner.y - row.top) / row.step[0], (winner.x - row.left) / row.step[1]];
    drawRow(ink, view, row, plan, y, limits, mark);
    y += plan.height;
  });
  if (worked.curve) y = drawCurve(ink, view, worked, y, Math.min(width, 340));
  const words = leftOutWords(view, worked);
  if (words) { write(ink, words, 0, y + LINE / 2, { size: 12.5, fade: 0.8 }); y += LINE; }
  if (worked.note) { write(ink, worked.note, 0, y + LINE / 2, { size: 12.5, fade: 0.8 }); y += LINE; }
  ink.context.fillStyle = ink.faint;
  ink.context.fillRect(0, y + 4, Math.min(width, 330), 1);
  y += 8;
  extrasOf(view, worked, plan).forEach((step) => {
    write(ink, step.label, 0, y + LINE / 2, { weight: step.last ? 700 : 400 });
    write(ink, plainly(step.value), Math.min(width, 330), y + LINE / 2, { align: "right", weight: step.last ? 700 : 400 });
    y += LINE;
  });
  write(ink, `the network itself gave ${plainly(worked.actual)}, in 32 bits`, 0, y + LINE / 2, { size: 12, fade: 0.75 });
}

// The function's graph, and this cell's point on it.
function drawCurve(ink, view, worked, top, width) {
  const { context } = ink, height = 150, reach = view.limits.values, input = worked.steps[0].value;
  const values = Array.from({ length: 121 }, (_, i) => -reach + (2 * reach * i) / 120);
  const results = values.map(worked.curve), low = Math.min(0, ...results), high = Math.max(0, ...results) || 1;
  const across = (x) => ((x + reach) / (2 * reach)) * width, down = (y) => top + 8 + (1 - (y - low) / (high - low)) * (height - 16);
  context.fillStyle = ink.faint;
  context.fillRect(0, down(0), width, 1);
  context.fillRect(across(0), top + 4, 1, height - 8);
  context.strokeStyle = ink.text;
  context.lineWidth = 1.5;
  context.beginPath();
  values.forEach((value, i) => (i ? context.lineTo(across(value), down(results[i])) : context.moveTo(across(value), down(results[i]))));
  context.stroke();
  const x = across(input), y = down(worked.result);
  context.setLineDash([3, 3]);
  context.beginPath();
  context.moveTo(x, down(0)); context.lineTo(x, y); context.lineTo(across(0), y);
  context.stroke();
  context.setLineDash([]);
  context.fillStyle = "#d9480f";
  context.beginPath();
  context.arc(x, y, 5, 0, 7);
  context.fill();
  return top + 170;
}
