// Images of values: colors of a table, the table for the page's theme, PNG download.
function isDark(host) {
  const probe = new OffscreenCanvas(1, 1).getContext("2d");
  probe.fillStyle = getComputedStyle(host).getPropertyValue("--st-background-color").trim() || "#fff";
  probe.fillRect(0, 0, 1, 1);
  const [red, green, blue] = probe.getImageData(0, 0, 1, 1).data;
  return red + green + blue < 384;
}

// Reports a change of theme, when the transition of a theme color ends. The host's CSS must define one.
function onTheme(host, redraw) {
  host.addEventListener("transitionend", (event) => { if (event.target === host) redraw(); });
}

// Which entry of a table of `steps` colors a value has; -1 for what is not a number.
function levelOf(value, low, high, steps) {
  if (!Number.isFinite(value)) return -1;
  if (high <= low) return 0;
  return Math.max(0, Math.min(steps - 1, Math.floor(((value - low) * (steps - 1)) / (high - low) + 0.5)));
}

const BROKEN = [214, 39, 130];

// Values from `start` on, `width`×`height` of them, as pixels.
function painted(values, start, width, height, low, high, table) {
  const image = new ImageData(width, height), pixels = image.data, steps = table.length / 3;
  for (let i = 0; i < width * height; i++) {
    const level = levelOf(values[start + i], low, high, steps), at = 4 * i;
    const colour = level < 0 ? BROKEN : null;
    pixels[at] = colour ? colour[0] : table[3 * level];
    pixels[at + 1] = colour ? colour[1] : table[3 * level + 1];
    pixels[at + 2] = colour ? colour[2] : table[3 * level + 2];
    pixels[at + 3] = 255;
  }
  return image;
}

function colourOf(value, low, high, table) {
  const level = levelOf(value, low, high, table.length / 3);
  const [red, green, blue] = level < 0 ? BROKEN : table.subarray(3 * level, 3 * level + 3);
  return `rgb(${red} ${green} ${blue})`;
}

// A canvas of one pixel a value.
function asCanvas(image) {
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

// Sized in CSS pixels, as fine as the screen; returns its context.
function sized(canvas, width, height) {
  const fine = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * fine);
  canvas.height = Math.round(height * fine);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.setTransform(fine, 0, 0, fine, 0, 0);
  return context;
}

function savePng(canvas, name) {
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${name}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

// Format a number: four digits, a typographic minus, no rounding artifacts.
function plainly(value) {
  if (Number.isNaN(value)) return "not a number";
  if (!Number.isFinite(value)) return value < 0 ? "−∞" : "∞";
  if (value === 0) return "0";
  const size = Math.abs(value);
  const text = size >= 1e5 || size < 1e-3 ? size.toExponential(2).replace("e+", "e") : String(Number(size.toPrecision(4)));
  return (value < 0 ? "−" : "") + text.replace("e-", "e−");
}

function element(tag, className = "", text = null, attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== null) made.textContent = text;
  Object.entries(attributes).forEach(([name, value]) => made.setAttribute(name, value));
  return made;
}
