// Facts and arrays out of the bytes that packet.py wrote. `stamp` differs whenever anything in them does.
const VIEWS = { uint8: Uint8Array, int32: Int32Array, float16: Uint16Array, float32: Float32Array };

function unpack(bytes) {
  const own = new Uint8Array(bytes); // a copy: the bytes as they came may begin anywhere
  const length = new DataView(own.buffer).getUint32(0, true);
  const stamp = new TextDecoder().decode(own.subarray(4, 4 + length));
  const { facts, arrays } = JSON.parse(stamp);
  const found = Object.entries(arrays).map(([name, { kind, shape, at, bytes: count }]) => {
    const View = VIEWS[kind];
    const raw = new View(own.buffer, 4 + length + at, count / View.BYTES_PER_ELEMENT);
    return [name, { shape, values: kind === "float16" ? fromHalf(raw) : raw }];
  });
  return { facts, arrays: Object.fromEntries(found), stamp };
}

let halves;

function fromHalf(raw) {
  halves ??= Float32Array.from({ length: 65536 }, (_, bits) => {
    const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent === 31) return fraction ? NaN : sign * Infinity;
    return sign * (exponent ? 2 ** (exponent - 15) * (1 + fraction / 1024) : fraction * 2 ** -24);
  });
  return Float32Array.from(raw, (bits) => halves[bits]);
}
