// Softmax in three columns: the score, its exponential, and its share of the sum; the class in turn is marked.
function softmaxOf(state) {
  const { stage } = state.layer, scores = valuesOf(state, stage.sources[0]), largest = extremes(scores)[1];
  const powers = Float64Array.from(scores, (score) => Math.exp(score - largest)), sum = powers.reduce((all, power) => all + power, 0);
  return { scores, largest, powers, sum };
}

const ROW = 30;

function drawSoftmax(state) {
  const { panel: { terms: panel }, layer: { channel, stage } } = state, { scores, powers, sum } = softmaxOf(state);
  const order = stage.shown.includes(channel) ? stage.shown : [...stage.shown.slice(0, -1), channel];
  const width = Math.min(1000, state.host.clientWidth - 8), name = Math.min(150, width * 0.24), column = (width - name) / 3;
  const row = Math.max(17, Math.min(ROW, 330 / order.length));
  const context = sized(panel.canvas, width, order.length * row + 26), reach = Math.max(...scores.map(Math.abs), 1e-9);
  context.fillStyle = state.colors.text;
  context.font = fontOf(state, 13);
  ["score", "exp(score − largest)", "share of the sum"].forEach((title, i) => context.fillText(fitted(context, title, column - 12), name + i * column, 14));
  order.forEach((each, place) => {
    const top = 24 + place * row, middle = top + row / 2 + 4, now = each === channel;
    if (now) { context.globalAlpha = 0.12; context.fillStyle = state.colors.mark; context.fillRect(0, top, width, row); context.globalAlpha = 1; }
    context.fillStyle = state.colors.text;
    context.font = fontOf(state, row < 22 ? 12 : 14, now ? 650 : 400);
    context.fillText(fitted(context, state.view.facts.classes[each] ?? String(each), name - 10), 4, middle);
    const zero = name + (column - 80) / 2, half = (column - 84) / 2, long = (scores[each] / reach) * half;
    context.fillStyle = scores[each] >= 0 ? state.colors.positive : state.colors.negative;
    context.fillRect(Math.min(zero, zero + long), top + row * 0.22, Math.max(1, Math.abs(long)), row * 0.56);
    [[powers[each], 1], [powers[each] / sum, 2]].forEach(([value, i]) => {
      context.fillStyle = now ? state.colors.mark : state.colors.text;
      context.globalAlpha = now ? 1 : 0.45;
      context.fillRect(name + i * column, top + row * 0.22, Math.max(1, value * (column - 80)), row * 0.56);
      context.globalAlpha = 1;
    });
    context.fillStyle = state.colors.text;
    context.font = fontOf(state, row < 22 ? 11 : 13);
    [plainly(fourDigits(scores[each])), plainly(fourDigits(powers[each])), shareText(powers[each] / sum)].forEach((text, i) => context.fillText(text, name + (i + 1) * column - 74, middle));
  });
  panel.caption.textContent = order.length < scores.length ? `${order.length} of ${scores.length.toLocaleString("en")} classes, the likeliest` : "";
}

function softmaxSentence(state) {
  const { scores, largest, powers, sum } = softmaxOf(state), { channel } = state.layer, number = (value) => plainly(fourDigits(value));
  return `exp(${number(scores[channel])} − ${number(largest)}) = ${number(powers[channel])}; the sum over all ${scores.length.toLocaleString("en")} classes is ${number(sum)}; ${number(powers[channel])} ÷ ${number(sum)} ${equals(shareText(powers[channel] / sum))}`;
}
// "= 12.3 %", but "< 0.1 %".
const equals = (text) => (/^[<>]/.test(text) ? `${text[0]} ${text.slice(1)}` : `= ${text}`);
