// Web worker, appended to forward.js and convolution.js: receives a network once, then one image after another.
// Outputs are handed over, not copied; some share one buffer (flatten keeps its input's).
let program, weights, fast;
onmessage = ({ data }) => {
  if (data.program) {
    ({ program, weights } = data);
    fast = compiledConvolution(data.kernel, weights);
    return;
  }
  const outputs = forward(program, weights, data.input, fast).map(({ shape, values }) => ({ shape, values }));
  const buffers = new Set(outputs.map(({ values }) => values.buffer));
  postMessage({ number: data.number, outputs }, [...buffers]);
};
