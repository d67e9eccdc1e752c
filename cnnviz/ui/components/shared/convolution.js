// Convolution by WebAssembly: `compiledConvolution(bytes, weights)` gives a `conv2d(layer, tensor)` that
// reads its weights from its own memory, some six times as fast as the one in forward.js; or null where the browser
// cannot run it. `bytes` are convolution.wasm, made from convolution.ts.
const FIRST_FREE = 1 << 16; // bytes at the start of the memory that the compiler may use

function compiledConvolution(bytes, weights) {
  let kernel;
  try {
    kernel = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;
    reserve(kernel.memory, FIRST_FREE + weights.byteLength);
  } catch { return null; } // without SIMD, forbidden by the page's policy, or too little memory
  new Float32Array(kernel.memory.buffer, FIRST_FREE, weights.length).set(weights);
  const inputAt = aligned(FIRST_FREE + weights.byteLength);
  return (layer, { shape: [channels, height, width], values }) => {
    const { out, groups = 1, kernel: [kh, kw], stride, padding, dilation } = layer;
    const [rows, columns] = convolved(layer, height, width), area = rows * columns;
    const perGroup = channels / groups, maps = out / groups, size = perGroup * kh * kw;
    const resultAt = aligned(inputAt + values.byteLength), blockAt = aligned(resultAt + 4 * out * area);
    reserve(kernel.memory, blockAt + 4 * 8 * size);
    const { buffer } = kernel.memory;
    new Float32Array(buffer, inputAt, values.length).set(values);
    for (let group = 0; group < groups; group++) {
      kernel.conv2d(
        inputAt + 4 * group * perGroup * height * width, FIRST_FREE + 4 * (layer.weight + group * maps * size),
        resultAt + 4 * group * maps * area, blockAt, perGroup, height, width, maps,
        kh, kw, ...stride, ...padding, ...dilation, rows, columns,
      );
    }
    return { shape: [out, rows, columns], values: new Float32Array(buffer, resultAt, out * area).slice() };
  };
}

const aligned = (address) => (address + 15) & ~15;

function reserve(memory, bytes) {
  const missing = bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / (1 << 16)));
}
