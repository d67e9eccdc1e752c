// Arrays of numpy come as {dtype, bdata, shape}: little-endian bytes in base64, as Plotly reads them by itself. What is
// ours (downloads, points that were picked) reads them here, as plain arrays of plain numbers.
const ARRAY_TYPES = {
  i1: Int8Array, u1: Uint8Array, u1c: Uint8ClampedArray, i2: Int16Array, u2: Uint16Array, i4: Int32Array,
  u4: Uint32Array, f4: Float32Array, f8: Float64Array,
  int8: Int8Array, uint8: Uint8Array, uint8c: Uint8ClampedArray, int16: Int16Array, uint16: Uint16Array,
  int32: Int32Array, uint32: Uint32Array, float32: Float32Array, float64: Float64Array,
};

const isEncoded = (value) => typeof value?.bdata === "string" && value.dtype in ARRAY_TYPES;

function decodeArray({ dtype, bdata, shape }) {
  const bytes = Uint8Array.from(atob(bdata), (letter) => letter.charCodeAt(0));
  const flat = plainNumbers(new ARRAY_TYPES[dtype](bytes.buffer));
  const sizes = String(shape ?? flat.length).split(",").map(Number);
  return sizes.slice(1).reduceRight((parts, size) => chunks(parts, size), flat);
}

function chunks(list, size) {
  return Array.from({ length: list.length / (size || 1) }, (_, i) => list.slice(i * size, (i + 1) * size));
}

// What is no finite number is null, as in JSON. A number of 32 bits becomes the shortest decimal that rounds to it: 0.1
// and not 0.10000000149011612.
function plainNumbers(list) {
  const short = list instanceof Float32Array ? shortest : (value) => value;
  return Array.from(list, (value) => (Number.isFinite(value) ? short(value) : null));
}

function shortest(value) {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

// Everything in plain arrays, in whatever depth: encoded ones, and those that Plotly has decoded.
function decoded(value) {
  if (isEncoded(value)) return decodeArray(value);
  if (ArrayBuffer.isView(value)) return plainNumbers(value);
  if (Array.isArray(value)) return value.map(decoded);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, decoded(part)]));
}
