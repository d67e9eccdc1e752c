// A small box of text that follows the pointer inside a component. `lines[0]` is its heading.
function tipOf(host) {
  let tip = host.querySelector(":scope > .tip");
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "tip";
    tip.setAttribute("aria-hidden", "true");
    host.append(tip);
  }
  return {
    show(x, lines) {
      tip.replaceChildren(...lines.map((line, i) => {
        const part = document.createElement(i ? "div" : "strong");
        part.textContent = line;
        return part;
      }));
      tip.classList.add("seen");
      const room = host.clientWidth - tip.offsetWidth;
      tip.style.left = `${Math.max(0, Math.min(room, x + 14 + tip.offsetWidth > host.clientWidth ? x - 14 - tip.offsetWidth : x + 14))}px`;
    },
    hide() { tip.classList.remove("seen"); },
  };
}
