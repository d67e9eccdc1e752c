// Drawn anew for every page and address; menus are disclosures: a button that says whether its list is open.
export default function ({ data: [data], parentElement, setTriggerValue }) {
  const host = parentElement.querySelector(".host");
  host.present = () => setTriggerValue("present", Date.now());
  const stamp = JSON.stringify(data);
  if (host.stamp !== stamp) draw(host, data, stamp);
  return () => {};
}

function draw(host, data, stamp) {
  host.stamp = stamp;
  host.leave?.();
  if (data.presenting) { drawWayOut(host); return; }
  let number = 0;
  const follow = (item, className) => linkTo(item, className, number++, data.links, () => close(host));
  const nav = element("nav", "", null, { "aria-label": "Pages" });
  const home = follow(data.home, "home");
  home.textContent = "cnnviz";
  home.setAttribute("aria-label", data.home.title);
  const toggle = element("button", "toggle", null, { type: "button", "aria-expanded": "false", "aria-label": "Menu of pages" });
  toggle.append(element("span", "lines"));
  const drawer = element("div", "drawer");
  const start = element("a", "start", data.home.title, { href: data.home.href });
  if (data.home.current) start.setAttribute("aria-current", "page");
  start.onclick = (event) => { if (plain(event)) { event.preventDefault(); home.click(); } };
  drawer.append(start, ...data.groups.map((group) => menuOf(host, group, follow)));
  const present = element("button", "present", "Present", { type: "button", title: "Present: hide navigation and settings, and enlarge text, for a projector" });
  present.onclick = () => host.present();
  nav.append(toggle, home, drawer, element("span", "here", data.here), present);
  host.replaceChildren(nav, element("div", "shade"));
  toggle.onclick = () => { const open = !host.classList.contains("open"); close(host); setDrawer(host, open); };
  host.querySelector(".shade").onclick = () => setDrawer(host, false);
  const outside = (event) => { if (!event.composedPath().includes(nav)) close(host); };
  document.addEventListener("pointerdown", outside);
  host.leave = () => document.removeEventListener("pointerdown", outside);
  host.onkeydown = (event) => { if (event.key === "Escape") escape(host); };
}

// Presenting: one button, and Escape where nothing else on the page has a use for it.
function drawWayOut(host) {
  const button = element("button", "way-out", "Leave presenting (Esc)", { type: "button" });
  button.onclick = () => host.present();
  host.replaceChildren(button);
  const byKey = (event) => { if (event.key === "Escape" && !event.defaultPrevented && !document.querySelector("[role=dialog], [data-testid=stPopoverBody]")) host.present(); };
  document.addEventListener("keydown", byKey);
  host.leave = () => document.removeEventListener("keydown", byKey);
}

const plain = (event) => !(event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button);

// A real link, to be opened in another tab too; a plain click goes through Streamlit's own, which keeps the session.
function linkTo(item, className, number, links, left) {
  const anchor = element("a", className, null, { href: item.href });
  anchor.append(element("span", "title", item.title));
  if (item.current) anchor.setAttribute("aria-current", "page");
  anchor.onclick = (event) => {
    const own = document.querySelectorAll(links)[number]?.querySelector("a");
    if (!own || !plain(event)) return;
    event.preventDefault();
    left();
    own.click();
  };
  return anchor;
}

function menuOf(host, { title, items }, follow) {
  const menu = element("div", "menu"), current = items.find((item) => item.current);
  const button = element("button", "group", null, { type: "button", "aria-expanded": "false" });
  button.append(element("span", "", title));
  if (current) button.append(element("span", "now", current.title));
  if (current) menu.classList.add("current");
  const list = element("ul", "", null, { "aria-label": title });
  items.forEach((item) => {
    const anchor = follow(item, "page"), entry = element("li");
    anchor.append(element("span", "blurb", item.blurb));
    anchor.setAttribute("aria-label", item.title);
    entry.append(anchor);
    list.append(entry);
  });
  menu.append(element("h2", "", title), button, list);
  const open = () => { close(host); menu.classList.add("open"); button.setAttribute("aria-expanded", "true"); };
  button.onclick = () => { if (menu.classList.contains("open")) close(host); else open(); };
  menu.onkeydown = (event) => walk(event, menu, button, open);
  menu.onfocusout = (event) => { if (event.relatedTarget && !menu.contains(event.relatedTarget)) closeMenus(host); };
  return menu;
}

function walk(event, menu, button, open) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  if (event.target.closest("button")) open();
  const links = [...menu.querySelectorAll("a")], at = links.indexOf(event.target.closest("a"));
  const to = at < 0 ? (step > 0 ? 0 : links.length - 1) : at + step;
  (links[to] ?? (to < 0 ? button : links.at(-1))).focus();
}

function setDrawer(host, open) {
  host.classList.toggle("open", open);
  host.querySelector(".toggle").setAttribute("aria-expanded", String(open));
  if (open) (host.querySelector(".drawer [aria-current]") ?? host.querySelector(".drawer a")).focus();
}

function closeMenus(host) {
  host.querySelectorAll(".menu.open").forEach((menu) => {
    menu.classList.remove("open");
    menu.querySelector("button").setAttribute("aria-expanded", "false");
  });
}

function close(host) {
  closeMenus(host);
  setDrawer(host, false);
}

// Return the focus to the button that opened the closed menu.
function escape(host) {
  const button = host.querySelector(".menu.open button") ?? (host.classList.contains("open") ? host.querySelector(".toggle") : null);
  close(host);
  button?.focus();
}
