// Stores arrays by name for the components of this window, and announces them. So weights are sent once, and
// images separately.
const MAX_ARRAYS = 400;

export default function ({ data }) {
  const { facts, arrays } = unpack(data);
  const all = (window.cnnvizArrays ??= new Map());
  if (!all.has(facts.slot)) {
    const large = [...all.keys()].filter((slot) => slot.startsWith("weights:"));
    if (facts.slot.startsWith("weights:")) large.slice(0, Math.max(0, large.length - 2)).forEach((slot) => all.delete(slot));
    if (all.size > MAX_ARRAYS) all.delete([...all.keys()].find((slot) => !slot.startsWith("weights:")));
    all.set(facts.slot, arrays);
  }
  document.dispatchEvent(new CustomEvent("cnnviz-arrays", { detail: facts.slot }));
  return () => {};
}
