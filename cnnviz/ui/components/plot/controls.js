// The line above a figure: show all again (where zoomed), and downloads.
function controlsOf(host) {
  const bar = document.createElement("div");
  bar.className = "controls";
  host.append(bar);
  const button = (text, label) => {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.title = label;
    made.setAttribute("aria-label", label);
    bar.append(made);
    return made;
  };
  const whole = button("show all", "Show all of the figure again; a double click does that too");
  whole.hidden = true;
  return {
    whole,
    svg: button("SVG ↓", "Download the figure as a picture (SVG)"),
    png: button("PNG ↓", "Download the figure as a picture (PNG)"),
    csv: button("CSV ↓", "Download the figure's data (CSV)"),
  };
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
