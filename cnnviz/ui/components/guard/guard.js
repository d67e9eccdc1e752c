// Loading again is for what the page itself cannot mend; not twice in a row, should it not help.
const LOADED = "cnnviz-loaded-again", APART = 10_000;

function revive(event) {
  const said = event.message ?? event.reason?.message ?? "";
  const last = Number(sessionStorage.getItem(LOADED) ?? 0);
  if (!/delta path/.test(said) || Date.now() - last < APART) return;
  sessionStorage.setItem(LOADED, Date.now());
  location.reload();
}

export default function () {
  if (window.cnnvizGuarded) return;
  window.cnnvizGuarded = true;
  window.addEventListener("error", revive);
  window.addEventListener("unhandledrejection", revive);
}
