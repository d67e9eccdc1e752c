export default function ({ data: [data], parentElement }) {
  const host = parentElement.querySelector(".host");
  if (host.shown === data) return;
  host.shown = data;
  host.innerHTML = data;
}
