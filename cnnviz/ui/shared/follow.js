export default function ({ data: [data] }) {
  document.querySelector(data.link)?.click();
}
