// A network's program as stages, which are what is drawn: a layer with the normalization and activation behind it.
//
// A stage is {id, kind, name, text, layers, head, out, shape: [C, H, W], sources, parents}. `layers` are positions in
// the program, `out` the last of them. `sources` are the stages whose maps it reads, in the order of the channels.
const POINTWISE = { batch_norm: "norm", activation: "", lrn: "response norm" };
const PLAIN = { relu: "ReLU", relu6: "ReLU6", tanh: "tanh", scaled_tanh: "scaled tanh", sigmoid: "sigmoid", leaky_relu: "leaky ReLU", silu: "SiLU", gelu: "GELU", hardswish: "hard swish" };
const PASSED = new Set(["flatten", "concat"]);

function stagesOf(program) {
  const { layers } = program, readers = layers.map(() => []);
  layers.forEach((layer, i) => layer.from.forEach((place) => { if (place >= 0) readers[place].push(i); }));
  const image = { id: 0, kind: "input", name: "input", layers: [], out: -1, shape: program.input, sources: [], parents: [] };
  const stages = [image], owner = new Map([[-1, image]]);
  layers.forEach((layer, i) => {
    if (PASSED.has(layer.op) || owner.has(i)) return;
    const own = [i];
    for (let next = follower(layers, readers, i); next !== null; next = follower(layers, readers, next)) own.push(next);
    const out = own.at(-1), kind = layer.op in POINTWISE ? "pointwise" : layer.op;
    const stage = { id: stages.length, kind, name: layer.name, layers: own, head: i, out, shape: asMaps(layers[out].shape) };
    own.forEach((place) => owner.set(place, stage));
    stage.sources = layer.from.flatMap((place) => sourcesOf(layers, owner, place));
    stage.parents = [...new Set(stage.sources)];
    stage.title = [layer.name, ...own.slice(1).map((place) => wordOf(layers[place]))].join(" + ");
    stages.push(stage);
  });
  image.title = "Input";
  return stages;
}

const wordOf = (layer) => PLAIN[layer.function] ?? POINTWISE[layer.op] ?? layer.op;
const asMaps = (shape) => (shape.length === 3 ? shape : [shape.reduce((all, side) => all * side, 1), 1, 1]);

// The pointwise layer that alone reads layer `i`, and nothing else.
function follower(layers, readers, i) {
  const [next] = readers[i];
  return readers[i].length === 1 && layers[next].op in POINTWISE ? next : null;
}

function sourcesOf(layers, owner, place) {
  if (place >= 0 && PASSED.has(layers[place].op)) return layers[place].from.flatMap((each) => sourcesOf(layers, owner, each));
  return [owner.get(place)];
}

// The map behind a channel of what a stage reads, where concatenated maps stand one behind the other.
function mapAt(stage, channel) {
  let rest = channel;
  for (const source of stage.sources) {
    if (rest < source.shape[0]) return { stage: source, channel: rest };
    rest -= source.shape[0];
  }
  return null;
}

const channelsInto = (stage) => (stage.kind === "add" ? stage.shape[0] : stage.sources.reduce((all, source) => all + source.shape[0], 0));

// Which maps a map reads: [{stage, channel, input}], `input` its place among all that the layer reads.
function readsOf(program, stage, channel) {
  if (stage.kind === "input") return [];
  if (stage.kind === "add") return stage.sources.map((source, input) => ({ stage: source, channel, input }));
  return inputsOf(program, stage, channel).map((input) => ({ ...mapAt(stage, input), input }));
}

function inputsOf(program, stage, channel) {
  const all = channelsInto(stage), layer = program.layers[stage.head];
  if (stage.kind === "conv2d") {
    if (layer.connections) return layer.connections[channel];
    const each = all / (layer.groups ?? 1), first = each * Math.floor((channel * (layer.groups ?? 1)) / layer.out);
    return Array.from({ length: each }, (_, i) => first + i);
  }
  if (["linear", "radial_basis", "softmax"].includes(stage.kind)) return Array.from({ length: all }, (_, i) => i);
  return [channel];
}
