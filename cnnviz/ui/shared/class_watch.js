// A student's page learns that the class was closed, or its app has ended, also while nobody clicks on it.
const SECONDS = 3, MISSED = 2;
let missed = 0, said = null;

function leave(base) {
  const here = location.pathname + location.search;
  location.replace(`${base}/join?next=${encodeURIComponent(here)}`);
}

// Over all of Streamlit's own, which asks the reader to start it in a terminal.
function say() {
  if (said) return;
  const look = getComputedStyle(document.querySelector(".stApp"));
  said = document.createElement("dialog");
  said.className = "class-gone";
  said.setAttribute("aria-labelledby", "class-gone-title");
  said.style.cssText = `background:${look.backgroundColor};color:${look.color};font:1rem/1.5 ${look.fontFamily};` +
    "box-sizing:border-box;width:100vw;height:100dvh;max-width:none;max-height:none;margin:0;border:0;outline:0;padding:15vh 1rem 2rem";
  said.innerHTML = '<div style="max-width:26rem;margin:0 auto">' +
    '<h2 id="class-gone-title" style="margin:0 0 .5rem;font-size:1.6rem;line-height:1.2">The class does not answer</h2>' +
    '<p style="margin:0">It has ended, or the network between you is gone. Your runs stay. This page goes on by itself ' +
    "once it answers again.</p></div>";
  said.addEventListener("cancel", (event) => event.preventDefault());
  document.body.append(said);
  said.showModal();
}

async function look(base) {
  let answer;
  try {
    answer = await fetch(`${base}/_stcore/host-config`, { cache: "no-store" });
  } catch {
    missed += 1;
    if (missed >= MISSED) say();
    return;
  }
  missed = 0;
  if (answer.status === 401) leave(base);
  else if (said) {
    said.remove();
    said = null;
  }
}

export default function ({ data: [data] }) {
  if (window.cnnvizClassWatched) return;
  window.cnnvizClassWatched = true;
  const again = () => look(data.base).finally(() => setTimeout(again, 1000 * SECONDS));
  again();
  document.addEventListener("visibilitychange", () => { if (!document.hidden) look(data.base); });
}
