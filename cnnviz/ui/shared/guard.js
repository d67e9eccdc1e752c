// Reload the page when it cannot recover by itself; not twice in a row, in case that does not help.
const LOADED = "cnnviz-loaded-again", APART = 10_000;

function revive(event) {
  const said = event.message ?? event.reason?.message ?? "";
  const last = Number(sessionStorage.getItem(LOADED) ?? 0);
  if (!/delta path/.test(said) || Date.now() - last < APART) return;
  sessionStorage.setItem(LOADED, Date.now());
  location.reload();
}

// Streamlit calls the place where files are dropped a presentation, and lets the keyboard go there all the same: what has
// a label and a focus is a region. (axe: presentation-role-conflict)
const DROPZONE = 'section[role="presentation"][data-testid="stFileUploaderDropzone"]';
let due = false;

function nameDropzones() {
  due = false;
  for (const zone of document.querySelectorAll(DROPZONE)) zone.removeAttribute("role");
}

function watchDropzones() {
  new MutationObserver(() => {
    if (due) return;
    due = true;
    requestAnimationFrame(nameDropzones);
  }).observe(document.body, { childList: true, subtree: true });
  nameDropzones();
}

// A link to another page is two entries of Streamlit's in the history: the page that is left with the parameters of the
// next, which nobody has seen, and the next page. The second takes the place of the first, so that Back leads to what was
// there before.
const LINK = '[data-testid="stPageLink-NavLink"]';
let followed = false, unseen = "";

function keepHistory() {
  const push = history.pushState.bind(history);
  history.pushState = (state, title, address) => {
    const next = new URL(address ?? location.href, location.href);
    const stays = next.pathname === location.pathname;
    if (!stays && unseen === location.href) history.replaceState(state, title, address);
    else push(state, title, address);
    unseen = followed && stays ? location.href : "";
    followed = false;
  };
  document.addEventListener("click", (event) => { followed = event.composedPath().some((part) => part.matches?.(LINK)); }, true);
  window.addEventListener("popstate", () => { unseen = ""; });
}

export default function () {
  if (window.cnnvizGuarded) return;
  window.cnnvizGuarded = true;
  watchDropzones();
  keepHistory();
  window.addEventListener("error", revive);
  window.addEventListener("unhandledrejection", revive);
}
