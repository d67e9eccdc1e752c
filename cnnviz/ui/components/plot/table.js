// A figure's data as CSV: a line a point, or a line a cell.
function cells(trace) {
  const at = (list, i) => (list && typeof list !== "string" ? list[i] : undefined);
  const named = trace.name ?? trace.type ?? "";
  if (Array.isArray(trace.z)) {
    return trace.z.flatMap((row, i) => Array.from(row, (z, j) => [named, at(trace.x, j) ?? j, at(trace.y, i) ?? i, z]));
  }
  const long = Math.max(trace.x?.length ?? 0, trace.y?.length ?? 0);
  return Array.from({ length: long }, (_, i) => [named, at(trace.x, i) ?? i, at(trace.y, i) ?? i]);
}

// As `cnnviz.formats` does: text that a spreadsheet could take for a formula gets an apostrophe.
function escapeFormula(text) {
  const number = /^(?:[+-]?(?:\d+\.?\d*|\.\d+|\d{1,3}(?:,\d{3})+)(?:[eE][+-]?\d+)?|[+-]?(?:inf|nan))$/.test(text);
  return !number && /^'*[=+\-@\t\r\n＝＋－＠]./s.test(text) ? `'${text}` : text;
}

function toCsv(traces) {
  const rows = traces.filter((trace) => trace.hoverinfo !== "skip").flatMap(cells);
  const head = rows.some((row) => row.length > 3) ? ["name", "x", "y", "value"] : ["name", "x", "y"];
  const quote = (value) => {
    const text = escapeFormula(value === null || value === undefined ? "" : String(value));
    return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [head, ...rows].map((row) => row.map(quote).join(",")).join("\r\n") + "\r\n";
}
