// Plotly's script, once a page however many figures it has.
function loadPlotly(url) {
  window.cnnvizPlotly ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => done(window.Plotly);
    script.onerror = () => {
      window.cnnvizPlotly = undefined;
      script.remove();
      failed(new Error("Plotly's script did not come"));
    };
    document.head.append(script);
  });
  return window.cnnvizPlotly;
}
