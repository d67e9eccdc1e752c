// Web worker, appended to forward.js: receives weights once, then one image after another.
let kept;
onmessage = ({ data }) => {
  if (data.weights) { kept = data.weights; return; }
  const outputs = forward(data.program, kept, data.input).map(({ shape, values }) => ({ shape, values }));
  postMessage({ number: data.number, outputs });
};
