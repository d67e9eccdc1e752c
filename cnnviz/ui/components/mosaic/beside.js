// The image with the receptive field of the hovered cell, and one map enlarged to the same size.
function besideOf(host) {
  const figure = (name, label) => {
    const part = element("figure", name);
    const sheet = element("div", "sheet");
    const canvas = element("canvas", "", null, { role: "img", "aria-label": label });
    const mark = element("div", "mark");
    const caption = element("figcaption");
    sheet.append(canvas, mark);
    part.append(sheet, caption);
    host.append(part);
    return { part, sheet, canvas, mark, caption };
  };
  return { input: figure("input", "The image as the model reads it"), one: figure("one", "One map, enlarged") };
}

// The longer side fills `room`; cells are whole pixels where they can be.
function drawn(figure, source, room) {
  const scale = room / Math.max(source.width, source.height);
  const zoom = scale >= 2 ? Math.floor(scale) : scale;
  const context = sized(figure.canvas, Math.round(source.width * zoom), Math.round(source.height * zoom));
  context.drawImage(source, 0, 0, Math.round(source.width * zoom), Math.round(source.height * zoom));
  figure.zoom = zoom;
}

function asPicture({ shape: [height, width], values }) {
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) image.data.set([values[3 * i], values[3 * i + 1], values[3 * i + 2], 255], 4 * i);
  return asCanvas(image);
}

// Receptive field of cell (y, x), `{top, left, bottom, right}` in input pixels; it may extend into the padding.
function fieldOf(field, y, x, [height, width]) {
  if (field.whole) return { top: 0, left: 0, bottom: height, right: width };
  const top = field.start[0] + y * field.jump[0], left = field.start[1] + x * field.jump[1];
  return { top, left, bottom: top + field.size[0], right: left + field.size[1] };
}

function outline(figure, box, [height, width]) {
  figure.mark.classList.toggle("seen", box !== null);
  if (!box) return;
  const top = Math.max(0, box.top), left = Math.max(0, box.left);
  const bottom = Math.min(height, box.bottom), right = Math.min(width, box.right);
  Object.assign(figure.mark.style, {
    top: `${top * figure.zoom}px`, left: `${left * figure.zoom}px`,
    height: `${Math.max(1, (bottom - top) * figure.zoom)}px`, width: `${Math.max(1, (right - left) * figure.zoom)}px`,
  });
}
