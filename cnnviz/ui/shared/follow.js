export default function ({ data }) {
  document.querySelector(data.link)?.click();
}
