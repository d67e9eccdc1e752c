// Description of the hovered map, with an enlarged view: below the network, and for screen readers.
const SPOKEN_AFTER_MS = 250, ENLARGED = 104, STRONGEST = 8;

function inspectorOf(host) {
  const part = element("div", "inspector"), enlarged = element("canvas", "enlarged", null, { "aria-hidden": "true" });
  const words = element("div", "words"), title = element("strong"), facts = element("p"), why = element("p", "why");
  const inputs = element("canvas", "inputs", null, { "aria-hidden": "true" }), spoken = element("p", "spoken", "", { "aria-live": "polite" });
  words.append(title, facts, why);
  part.append(enlarged, words, inputs);
  host.append(part, spoken);
  return { part, enlarged, title, facts, why, inputs, spoken };
}

function nameOf(state, stage, channel) {
  const [channels, height, width] = stage.shape;
  if (stage.kind === "softmax") return `${stage.title}, class ${state.view.facts.classes[channel] ?? channel}`;
  if (stage.kind === "input") return channels === 1 ? "Input" : `Input, ${channels} channels`;
  return `${stage.title}, ${height * width === 1 ? "unit" : "map"} ${channel + 1} of ${channels.toLocaleString("en")}`;
}

function factsOf(state, stage, channel) {
  const values = mapValues(state, stage, channel), [, height, width] = stage.shape;
  if (stage.kind === "softmax") return `Probability ${shareText(values[0])}`;
  if (values.length === 1) return `Value ${about(state)}${plainly(fourDigits(values[0]))}`;
  const [low, high] = extremes(stage.kind === "input" ? valuesOf(state, stage) : values);
  return `${height}×${width}, values from ${about(state)}${plainly(fourDigits(low))} to ${plainly(fourDigits(high))}`;
}

const about = (state) => (state.view.facts.mode === "server" ? "≈ " : "");
const fourDigits = (value) => Number(value.toPrecision(4));

function whyOf(state, stage, channel) {
  const layer = state.program.layers[stage.head], reads = readsOf(state.program, stage, channel), many = reads.length.toLocaleString("en");
  const whom = stage.parents.map((parent) => (parent.kind === "input" ? "the image" : parent.name)).join(", ");
  const size = layer?.kernel?.join("×");
  const sentence = {
    input: () => `The image as the network reads it${stage.shape[0] === 3 ? ", as three maps: red, green, blue" : ""}.`,
    conv2d: () => `A ${size} kernel over each of ${many} ${stage.parents.length === 1 && whom === "the image" ? (reads.length === 1 ? "map: the image" : "maps of the image") : `maps of ${whom}`}, summed at every place.`,
    linear: () => `A weighted sum of all ${(channelsInto(stage) * areaInto(stage)).toLocaleString("en")} values of ${whom}.`,
    radial_basis: () => `Minus the squared distance of ${whom} to this class’s code.`,
    pool2d: () => `The ${layer.mode === "max" ? "largest" : "mean"} of each ${size} window of the same map of ${whom}.`,
    global_pool: () => `The mean of the whole map ${channel + 1} of ${whom}.`,
    softmax: () => "exp of this class’s score, divided by the sum over all classes.",
    add: () => `The sum of map ${channel + 1} of ${whom}.`,
    pointwise: () => `Each value of map ${channel + 1} of ${whom} by itself.`,
  }[stage.kind]();
  return sentence;
}

function describe(state) {
  const { inspector, overview: { selected } } = state;
  const { stage, channel } = selected ?? { stage: null };
  state.host.classList.toggle("pointing", Boolean(stage));
  if (!stage) {
    inspector.title.textContent = state.view.facts.name;
    inspector.facts.textContent = summaryOf(state);
    inspector.why.textContent = "Point at a map to see what it reads; click it, or press Enter, to open its layer.";
    inspector.enlarged.hidden = inspector.inputs.hidden = true;
    return;
  }
  inspector.title.textContent = nameOf(state, stage, channel);
  inspector.facts.textContent = factsOf(state, stage, channel);
  inspector.why.textContent = `${whyOf(state, stage, channel)}${stage.kind === "input" ? "" : " Click opens it."}`;
  drawEnlarged(state, stage, channel);
  drawStrongest(state, stage, channel);
}

function summaryOf(state) {
  const { stages } = state, maps = stages.reduce((all, stage) => all + stage.shape[0], 0);
  const hidden = stages.filter((stage) => stage.kind !== "input" && stage.grid.count < stage.shape[0]).length;
  const shown = hidden ? `; where not all maps fit, the most active are shown` : "";
  return `${stages.length - 1} layers from the image to the answer, ${maps.toLocaleString("en")} maps and units${shown}.`;
}

function drawEnlarged(state, stage, channel) {
  const { enlarged } = state.inspector, [, height, width] = stage.shape;
  enlarged.hidden = height * width === 1;
  if (enlarged.hidden) return;
  const scale = ENLARGED / Math.max(height, width);
  sized(enlarged, width * scale, height * scale).drawImage(mapCanvas(state, stage, channel, true), 0, 0, width * scale, height * scale);
}

// The inputs that its weights count most, each with its kernel.
function drawStrongest(state, stage, channel) {
  const { inputs } = state.inspector, reads = readsOf(state.program, stage, channel);
  const strengths = strengthsOf(state, stage, channel, reads), room = Math.floor((inputs.parentElement.clientWidth - 560) / 64);
  inputs.hidden = !strengths.length || room < 2;
  if (inputs.hidden) return;
  const weights = kernelOf(state, stage, channel), each = weights.length / reads.length, scale = weightScale(state, weights);
  const layer = state.program.layers[stage.head], [height, width] = stage.kind === "conv2d" ? layer.kernel : stage.sources[0].shape.slice(1);
  const order = reads.map((_, i) => i).sort((one, other) => strengths[other].size - strengths[one].size).slice(0, Math.min(STRONGEST, room));
  const context = sized(inputs, order.length * 64, ENLARGED);
  context.fillStyle = state.colors.text;
  context.font = fontOf(state, 12);
  order.forEach((at, place) => {
    const read = reads[at], [, tall, wide] = read.stage.shape, left = place * 64;
    const side = 46 / Math.max(tall, wide);
    context.drawImage(mapCanvas(state, read.stage, read.channel), left, 0, wide * side, tall * side);
    const kernelSide = 34 / Math.max(height, width);
    context.drawImage(valueCanvas(weights.subarray(at * each, (at + 1) * each), width, height, scale), left, 52, width * kernelSide, height * kernelSide);
    frame(context, { left, top: 52, width: width * kernelSide, height: height * kernelSide }, state.colors.line);
    context.fillText(`${read.channel + 1}`, left, ENLARGED - 2);
  });
}

function speak(state, text) {
  clearTimeout(state.speaking);
  state.speaking = setTimeout(() => { state.inspector.spoken.textContent = text; }, SPOKEN_AFTER_MS);
}
