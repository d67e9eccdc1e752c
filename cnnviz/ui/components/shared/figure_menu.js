// The "⋯" of a figure: what can be had of it as a whole, out of sight until the figure is pointed at or holds the keyboard.
// Choices are pairs of a text and what it does; drawn again, the menu keeps its place and whether it is open.
function figureMenu(host, choices) {
  const menu = host.querySelector(":scope > .figure-menu") ?? beginMenu(host);
  menu.lastElementChild.replaceChildren(...choices.map(([text, act]) => {
    const choice = document.createElement("button");
    choice.type = "button";
    choice.textContent = text;
    choice.onclick = () => { setMenu(menu, false); act(); };
    return choice;
  }));
}

function beginMenu(host) {
  const menu = document.createElement("div"), dots = document.createElement("button"), list = document.createElement("div");
  menu.className = "figure-menu";
  dots.type = "button";
  dots.className = "dots";
  dots.title = "Menu of the figure";
  dots.setAttribute("aria-label", dots.title);
  dots.append(...Array.from({ length: 3 }, () => document.createElement("i")));
  list.className = "choices";
  menu.append(dots, list);
  setMenu(menu, false);
  dots.onclick = () => setMenu(menu, list.hidden);
  menu.onkeydown = (event) => {
    if (event.key !== "Escape" || list.hidden) return;
    event.preventDefault();
    event.stopPropagation();
    setMenu(menu, false);
    dots.focus();
  };
  menu.onfocusout = (event) => { if (!menu.contains(event.relatedTarget)) setMenu(menu, false); };
  host.append(menu);
  return menu;
}

function setMenu(menu, open) {
  menu.lastElementChild.hidden = !open;
  menu.firstElementChild.setAttribute("aria-expanded", String(open));
}
