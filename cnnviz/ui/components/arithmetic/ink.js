// Canvas drawing: matrices of colored cells with their numbers, text, bars.
const LEGIBLE = 23;

function inkOf(context, host, table) {
  const style = getComputedStyle(host);
  return { context, table, text: style.color, font: style.getPropertyValue("--st-font") || "sans-serif",
    faint: style.getPropertyValue("--st-border-color").trim(), accent: style.getPropertyValue("--st-primary-color").trim() };
}

function brief(value, tight = false) {
  const size = Math.abs(value), sign = value < 0 ? "−" : "";
  if (value === 0) return "0";
  if (!Number.isFinite(value)) return plainly(value);
  if (size >= 1000) return `${sign}${size >= 1e5 ? size.toExponential(0).replace("e+", "e") : Math.round(size)}`;
  if (size >= 100) return sign + size.toFixed(0);
  if (size >= 10) return sign + size.toFixed(1);
  if (size < 0.005 && tight) return `${sign}0.0`;
  if (size < 0.005) return size < 1e-4 ? `${sign}0.0` : sign + size.toFixed(4).replace(/^0/, "").slice(0, 5);
  return sign + size.toFixed(2);
}

function write(ink, text, x, y, { size = 13, align = "left", weight = 400, fill = ink.text, fade = 1 } = {}) {
  const { context } = ink;
  context.font = `${weight} ${size}px ${ink.font}`;
  context.textAlign = align;
  context.textBaseline = "middle";
  context.globalAlpha = fade;
  context.fillStyle = fill;
  context.fillText(text, x, y);
  context.globalAlpha = 1;
}

// Black or white, whichever has more contrast on a color `rgb(r g b)`.
function onColour(colour) {
  const [red, green, blue] = colour.match(/\d+/g).map(Number);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#000" : "#fff";
}

// Values `limit` away from zero have the table's ends. `inside` false is padding; `mark` [row, column] is framed.
function matrix(ink, { values, inside }, left, top, cell, limit, mark = null) {
  const { context } = ink;
  values.forEach((line, i) => line.forEach((value, j) => {
    const x = left + j * cell, y = top + i * cell, outside = inside && !inside[i][j];
    const colour = colourOf(value, -limit, limit, ink.table);
    context.fillStyle = colour;
    context.fillRect(x, y, cell - 1, cell - 1);
    if (outside) hatch(ink, x, y, cell - 1);
    if (cell >= LEGIBLE && !outside) {
      write(ink, brief(value, cell < 28), x + (cell - 1) / 2, y + cell / 2, { size: cell < 30 ? 9.5 : 11, align: "center", fill: onColour(colour) });
    }
  }));
  context.strokeStyle = ink.faint;
  context.lineWidth = 1;
  context.strokeRect(left - 0.5, top - 0.5, values[0].length * cell, values.length * cell);
  if (mark) frame(ink, left + mark[1] * cell - 1, top + mark[0] * cell - 1, cell + 1, cell + 1, 3);
}

function hatch(ink, x, y, side) {
  const { context } = ink;
  context.save();
  context.beginPath();
  context.rect(x, y, side, side);
  context.clip();
  context.strokeStyle = ink.text;
  context.globalAlpha = 0.3;
  context.beginPath();
  for (let at = -side; at < side; at += 5) { context.moveTo(x + at, y + side); context.lineTo(x + at + side, y); }
  context.stroke();
  context.restore();
}

function frame(ink, left, top, width, height, line = 2) {
  const { context } = ink;
  context.lineWidth = line + 2;
  context.strokeStyle = "#fff";
  context.strokeRect(left, top, width, height);
  context.lineWidth = line;
  context.strokeStyle = "#d9480f";
  context.strokeRect(left, top, width, height);
}

// A bar from zero in the middle of `width`, to the right where the value is positive.
function bar(ink, value, limit, left, top, width, height) {
  const { context } = ink, middle = left + width / 2, long = limit > 0 ? (Math.abs(value) / limit) * (width / 2) : 0;
  context.fillStyle = colourOf(Math.sign(value) * 0.6, -1, 1, ink.table);
  context.fillRect(value < 0 ? middle - long : middle, top, long, height);
  context.fillStyle = ink.faint;
  context.fillRect(middle, top - 2, 1, height + 4);
}
