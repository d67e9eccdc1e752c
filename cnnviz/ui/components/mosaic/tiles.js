// All channels on one canvas, a whole number of device pixels per cell.
function tilesOf(view, table) {
  const { values, order, low, high } = view.arrays;
  const [, height, width] = values.shape;
  return (channel) => asCanvas(painted(values.values, channel * height * width, width, height,
    low.values[channel], high.values[channel], table));
}

function drawTiles(canvas, layout, order, tileOf, marks) {
  const context = sized(canvas, layout.width, layout.height);
  const signs = new Map(Object.entries(marks).flatMap(([name, channels]) => channels.map((channel) => [channel, name])));
  order.forEach((channel, place) => {
    const { left, top } = cornerOf(layout, place);
    context.drawImage(tileOf(channel), left, top, layout.tile.width, layout.tile.height);
    if (signs.has(channel)) drawSign(context, MEANING[signs.get(channel)][0], left, top, layout.tile);
  });
}

function drawSign(context, sign, left, top, tile) {
  const size = Math.min(14, tile.height, tile.width);
  if (size < 7) { // no room for a sign
    context.fillStyle = "#e0559a";
    context.fillRect(left, top, Math.min(3, tile.width), Math.min(3, tile.height));
    return;
  }
  context.font = `700 ${size - 2}px sans-serif`;
  context.textBaseline = "top";
  context.lineWidth = 3;
  context.strokeStyle = "#000c";
  context.strokeText(sign, left + 2, top + 1);
  context.fillStyle = "#fff";
  context.fillText(sign, left + 2, top + 1);
}
