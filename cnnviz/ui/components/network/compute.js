// Outputs of all layers: computed here, in a web worker if it takes longer than a frame, or sent by
// the server, in 8 bits. Weights come by the component `network_arrays`, once for a network; see arrays.js.
const AT_ONCE_MACS = 5_000_000;

const held = (slot) => window.cnnvizArrays?.get(slot);

// Calls `done(outputs)`, one {shape, values} a layer; the last call wins.
function compute(state, done) {
  const { facts, arrays } = state.view, number = (state.number = (state.number ?? 0) + 1);
  const current = (outputs) => { if (number === state.number) done(outputs); };
  if (facts.mode === "server") return current(decoded(facts.program, arrays));
  const weights = held(facts.weights)?.weights.values;
  if (!weights) return null; // they are on their way
  if (facts.macs <= AT_ONCE_MACS) return current(forward(facts.program, weights, arrays.input.values));
  const worker = workerFor(state, weights);
  worker.onmessage = ({ data }) => { if (data.number === number) current(data.outputs); };
  worker.onerror = () => current(forward(facts.program, weights, arrays.input.values)); // where workers are not allowed
  return worker.postMessage({ number, input: arrays.input.values });
}

function workerFor(state, weights) {
  if (state.worker?.slot === state.view.facts.weights) return state.worker;
  state.worker?.terminate();
  const address = URL.createObjectURL(new Blob([state.view.facts.worker], { type: "text/javascript" }));
  state.worker = new Worker(address);
  state.worker.slot = state.view.facts.weights;
  state.worker.postMessage({ weights, program: state.view.facts.program, kernel: bytesOf(state.view.facts.kernel) });
  URL.revokeObjectURL(address);
  return state.worker;
}

const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

// Values that came as bytes: value = low + step · byte, a low and a step a channel.
function decoded(program, { bytes, low, step }) {
  let at = 0, channelAt = 0;
  return program.layers.map(({ shape }) => {
    const [channels, height, width] = asMaps(shape), area = height * width, values = new Float32Array(channels * area);
    for (let c = 0, i = 0; c < channels; c++, channelAt++) {
      const base = low.values[channelAt], unit = step.values[channelAt];
      for (let end = i + area; i < end; i++, at++) values[i] = base + unit * bytes.values[at];
    }
    return { shape, values };
  });
}

const weightsOf = (state) => held(state.view.facts.weights)?.weights.values ?? null;

// The weights with which a map reads its inputs, in their order, or null while they are on their way.
function kernelOf(state, stage, channel) {
  const { program, mode, stamp } = state.view.facts, layer = program.layers[stage.head], all = weightsOf(state);
  if (mode === "server") {
    const found = held(`${stamp}:${stage.head}:${channel}`);
    if (!found) state.ask?.(stage.head, channel);
    return found?.kernel.values ?? null;
  }
  if (!all) return null;
  if (stage.kind === "linear" || stage.kind === "radial_basis") {
    const size = channelsInto(stage) * areaInto(stage), start = layer.weight ?? layer.codes;
    return all.subarray(start + channel * size, start + (channel + 1) * size);
  }
  const area = layer.kernel[0] * layer.kernel[1];
  const before = layer.connections
    ? layer.connections.slice(0, channel).reduce((sum, list) => sum + list.length, 0)
    : (channel * channelsInto(stage)) / (layer.groups ?? 1);
  const count = inputsOf(program, stage, channel).length;
  return all.subarray(layer.weight + before * area, layer.weight + (before + count) * area);
}

// A small vector's entry (bias, scale, shift), which is always here once anything is.
function entryOf(state, offset, channel) {
  const all = weightsOf(state);
  return offset === null || offset === undefined || !all ? 0 : all[offset + channel];
}

const areaInto = (stage) => stage.sources[0].shape[1] * stage.sources[0].shape[2];

function mapValues(state, stage, channel) {
  const [, height, width] = stage.shape, area = height * width, all = valuesOf(state, stage);
  return all.subarray(channel * area, (channel + 1) * area);
}

const valuesOf = (state, stage) => (stage.kind === "input" ? state.view.arrays.input.values : state.outputs[stage.out].values);

function extremes(values) {
  let low = Infinity, high = -Infinity;
  for (let i = 0; i < values.length; i++) { if (values[i] < low) low = values[i]; if (values[i] > high) high = values[i]; }
  return [low, high];
}

// Channels of a stage, the most active (largest mean magnitude) first.
function byActivity(values, [channels, height, width]) {
  const area = height * width, sums = new Float64Array(channels);
  for (let c = 0, i = 0; c < channels; c++) {
    let sum = 0;
    for (const end = i + area; i < end; i++) sum += values[i] < 0 ? -values[i] : values[i];
    sums[c] = sum;
  }
  return Array.from(sums.keys()).sort((one, other) => sums[other] - sums[one]);
}
