// The line above a figure: a button that resets the zoom, and the figure's menu.
function controlsOf(host) {
  const bar = document.createElement("div"), whole = document.createElement("button");
  bar.className = "controls";
  whole.type = "button";
  whole.textContent = "show all";
  whole.title = "A double click on the figure does that too";
  whole.hidden = true;
  bar.append(whole);
  host.append(bar);
  return { whole };
}

function hand(content, name) {
  const link = document.createElement("a");
  link.href = typeof content === "string" ? content : URL.createObjectURL(content);
  link.download = name;
  link.click();
  if (typeof content !== "string") setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

async function saveFigure(plotly, drawn, format, name, paper) {
  const figure = { data: drawn.data, layout: { ...drawn.layout, paper_bgcolor: paper, autosize: false } };
  const address = await plotly.toImage(figure, {
    format, width: drawn.clientWidth, height: drawn.clientHeight, scale: format === "png" ? 2 : 1,
  });
  hand(address, `${name}.${format}`);
}
