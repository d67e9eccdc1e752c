// Image of the hovered point: a cell of a sprite sheet, above the pointer if there is room.
const HOVER_SIDE = 92, HOVER_AWAY = 16;

function pictureOf(host) {
  let shown = host.querySelector(":scope > .hovered");
  if (!shown) {
    shown = document.createElement("div");
    shown.className = "hovered";
    shown.setAttribute("aria-hidden", "true");
    shown.hidden = true;
    host.append(shown);
  }
  return shown;
}

function showPicture(host, images, place, event) {
  const [high, wide] = images.size, zoom = HOVER_SIDE / Math.max(high, wide);
  const shown = pictureOf(host), room = host.getBoundingClientRect();
  const across = place % images.columns, down = Math.floor(place / images.columns);
  const scaled = (cells, length) => cells * (length + images.gap) * zoom;
  Object.assign(shown.style, {
    width: `${wide * zoom}px`, height: `${high * zoom}px`,
    backgroundImage: `url(data:image/png;base64,${images.png})`,
    backgroundSize: `${scaled(images.columns, wide)}px ${scaled(images.rows, high)}px`,
    backgroundPosition: `${-scaled(across, wide)}px ${-scaled(down, high)}px`,
  });
  shown.hidden = false;
  shown.dataset.place = place;
  const x = event.clientX - room.left - shown.offsetWidth / 2, y = event.clientY - room.top;
  const above = y - HOVER_AWAY - shown.offsetHeight;
  shown.style.left = `${Math.max(0, Math.min(room.width - shown.offsetWidth, x))}px`;
  shown.style.top = `${above >= 0 ? above : y + HOVER_AWAY}px`;
}
