// A drawn digit as MNIST has it: cut to its ink, the center of mass in the middle, a box of 20 in 28 pixels, resized.
// To the bit what `preprocessing_trace.py` does with Pillow; a test holds them against each other.
// A picture is {height, width, pixels}, pixels a Uint8Array, light ink on dark.
const INK = 0.2, DIGIT_SHARE = 20 / 28;

// As Python and NumPy round: halves to the even neighbor.
function roundHalfEven(value) {
  const floor = Math.floor(value), rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2) ? floor + 1 : floor;
}

// The box around what is light, its end left out, and the center of mass inside of it; null where nothing is.
function inkBox({ height, width, pixels }) {
  let most = 1;
  for (let i = 0; i < pixels.length; i++) if (pixels[i] > most) most = pixels[i];
  const least = INK * most;
  let [top, left, bottom, right] = [height, width, 0, 0];
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (pixels[i] <= least) continue;
      top = Math.min(top, y);
      bottom = y + 1;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
    }
  }
  if (!bottom) return null;
  let [mass, down, along] = [0, 0, 0];
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const value = pixels[y * width + x];
      mass += value;
      down += value * (y - top);
      along += value * (x - left);
    }
  }
  return { top, left, bottom, right, middle: [down / mass, along / mass] };
}

function centerDigit(picture) {
  const box = inkBox(picture);
  if (!box) return picture;
  const size = [box.bottom - box.top, box.right - box.left];
  const side = Math.max(1, roundHalfEven(Math.max(...size) / DIGIT_SHARE));
  const [top, left] = [0, 1].map((axis) =>
    Math.min(Math.max(roundHalfEven((side - 1) / 2 - box.middle[axis]), 0), side - size[axis]));
  const pixels = new Uint8Array(side * side);
  for (let y = 0; y < size[0]; y++) {
    const from = (box.top + y) * picture.width + box.left;
    pixels.set(picture.pixels.subarray(from, from + size[1]), (top + y) * side + left);
  }
  return { height: side, width: side, pixels };
}

const PRECISION = 2 ** 22; // Pillow's: coefficients are whole numbers of so many parts

// Pillow's bilinear filter, a triangle as wide as what one output pixel covers: first input and weights, by output.
function bilinearTaps(size, outputs) {
  const scale = size / outputs, support = Math.max(1, scale);
  return Array.from({ length: outputs }, (_, i) => {
    const center = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - support + 0.5));
    const end = Math.min(size, Math.trunc(center + support + 0.5));
    const taps = Array.from({ length: end - first }, (_, k) => Math.max(0, 1 - Math.abs((k + first - center + 0.5) / support)));
    const sum = taps.reduce((total, tap) => total + tap, 0);
    return { first, taps: taps.map((tap) => Math.trunc((tap / sum) * PRECISION + 0.5)) };
  });
}

function resizeSquare({ height, width, pixels }, side) {
  if (height === side && width === side) return { height, width, pixels };
  const across = new Uint8Array(height * side), result = new Uint8Array(side * side);
  const weigh = (source, start, step, { first, taps }) => {
    let sum = PRECISION / 2;
    for (let k = 0; k < taps.length; k++) sum += source[start + (first + k) * step] * taps[k];
    return Math.min(255, Math.floor(sum / PRECISION));
  };
  const columns = bilinearTaps(width, side), rows = bilinearTaps(height, side);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < side; x++) across[y * side + x] = weigh(pixels, y * width, 1, columns[x]);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) result[y * side + x] = weigh(across, x, side, rows[y]);
  return { height: side, width: side, pixels: result };
}

// From the drawing to what a network reads: `{seen, input}`, the picture of `side` pixels and its numbers.
function digitInput(picture, { side, mean, std }) {
  const seen = resizeSquare(centerDigit(picture), side);
  return { seen, input: Float32Array.from(seen.pixels, (value) => (value - mean) / std) };
}
