// The sum written out: each input's window and kernel, the largest parts first, on one canvas.
const CARD = 148, MAX_CARDS = 48;

function drawWritten(state, terms) {
  const { panel: { sheet, written }, layer: { input } } = state;
  if (!terms.parts) return;
  const order = terms.parts.map((_, i) => i).sort((one, other) => Math.abs(terms.parts[other]) - Math.abs(terms.parts[one]));
  const shown = order.slice(0, MAX_CARDS), rest = order.slice(MAX_CARDS).reduce((all, i) => all + terms.parts[i], 0);
  const room = Math.max(CARD, written.clientWidth), across = Math.max(1, Math.floor(room / CARD)), tall = 92;
  const context = sized(sheet, room, Math.ceil((shown.length + 1) / across) * tall), scale = weightScale(state, terms.weights);
  const { height, width } = terms.window, cell = Math.min(52 / height, 52 / width);
  context.imageSmoothingEnabled = false;
  shown.forEach((i, place) => {
    const left = (place % across) * CARD, top = Math.floor(place / across) * tall, read = terms.reads[i];
    const patch = patchOf(state, read, terms.window).map(orZero), kernel = terms.weights.subarray(i * terms.size, (i + 1) * terms.size);
    context.drawImage(valueCanvas(patch, width, height, scaleOf(state, read.stage)), left + 14, top + 4, width * cell, height * cell);
    context.drawImage(valueCanvas(kernel, width, height, scale), left + 82, top + 4, width * cell, height * cell);
    frame(context, { left: left + 14, top: top + 4, width: width * cell, height: height * cell }, i === input ? state.colors.mark : state.colors.line, i === input ? 2 : 1);
    frame(context, { left: left + 82, top: top + 4, width: width * cell, height: height * cell }, state.colors.line);
    context.fillStyle = state.colors.text;
    context.font = fontOf(state, 14);
    context.fillText("·", left + 71, top + 34);
    if (place) context.fillText("+", left, top + 34);
    context.font = fontOf(state, 13);
    context.fillText(`${plainly(fourDigits(terms.parts[i]))}`, left + 14, top + 76);
    context.globalAlpha = 0.75;
    context.fillText(`map ${read.channel + 1}`, left + 82, top + 76);
    context.globalAlpha = 1;
  });
  const left = (shown.length % across) * CARD, top = Math.floor(shown.length / across) * tall;
  context.fillStyle = state.colors.text;
  const lines = [rest ? `+ ${plainly(fourDigits(rest))} of ${order.length - shown.length} more` : "", terms.bias === null ? "" : `+ bias ${plainly(fourDigits(terms.bias))}`, `= ${plainly(fourDigits(terms.sum))}`];
  context.font = fontOf(state, 14, 650);
  lines.filter(Boolean).forEach((line, i) => context.fillText(line, left, top + 22 + i * 22));
}
