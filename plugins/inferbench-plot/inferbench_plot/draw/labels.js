"use strict";
// Texts beside what they name, in the browser, where their sizes are known: none lies on another or is cut off.
const REACH = [5, 10, 17, 26, 38, 54, 74];
const AROUND = [[1, 0], [0, 1], [-1, 0], [0, -1], [1, 1], [-1, 1], [1, -1], [-1, -1]];
const MOST_COVERED = 2;
function meets(a, b) { return a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h; }
function inside(points, box) {
  let count = 0;
  for (const [x, y] of points) if (x > box.x && x < box.x + box.w && y > box.y && y < box.y + box.h) count += 1;
  return count;
}
function along(a, b) {
  const steps = Math.max(1, Math.ceil(Math.hypot(b[0] - a[0], b[1] - a[1]) / 8));
  return Array.from({ length: steps + 1 }, (_, i) => [a[0] + (b[0] - a[0]) * i / steps, a[1] + (b[1] - a[1]) * i / steps]);
}
// Pixels that labels should leave free: marks, intervals, and lines every few pixels.
function coveredBy(traces, pixel) {
  const found = [];
  for (const trace of traces) {
    if (!trace.x || trace.fill) continue;
    const points = trace.x.map((x, i) => pixel([x, trace.y[i]])).filter((p) => p.every(Number.isFinite));
    found.push(...points);
    if (trace.mode.includes("lines")) points.slice(1).forEach((p, i) => found.push(...along(points[i], p)));
    const bars = trace.error_y;
    if (bars) trace.x.forEach((x, i) => {
      const ends = [pixel([x, trace.y[i] - bars.arrayminus[i]]), pixel([x, trace.y[i] + bars.array[i]])];
      if (ends.flat().every(Number.isFinite)) found.push(...along(...ends));
    });
  }
  return found;
}
function boxes(spots, w, h) {
  return REACH.flatMap((reach) => spots.flatMap((spot) => AROUND.map(([right, up]) => {
    const [x, y] = spot.pixel;
    const far = right && up ? reach / Math.SQRT2 : reach;
    const left = x + right * far - (right < 0 ? w : right ? 0 : w / 2);
    const top = y - up * far - (up > 0 ? h : up ? 0 : h / 2);
    return { x: left, y: top, w, h, spot };
  })));
}
// Where each label goes, the most urgent first; null where there is no room.
function placed(labels, size, covered, measure) {
  const taken = [];
  return labels.map((label) => {
    let best = null, least = MOST_COVERED + 1;
    for (const box of boxes(label.spots, measure(label.said) + 4, 15)) {
      if (box.x < 0 || box.y < 0 || box.x + box.w > size[0] || box.y + box.h > size[1]) continue;
      if (taken.some((other) => meets(box, other))) continue;
      const count = inside(covered, box);
      if (count < least) { best = box; least = count; }
      if (!count) break;
    }
    if (best) taken.push(best);
    return best;
  });
}
function farFrom(box, x, y) {
  return Math.hypot(Math.max(box.x - x, 0, x - box.x - box.w), Math.max(box.y - y, 0, y - box.y - box.h)) > 20;
}
// A label as Plotly's annotation; a line joins it to its mark where it had to go far.
function note(box, one, axes, isDark) {
  const [x, y] = box.spot.pixel, tone = isDark ? one.dark : one.light;
  const far = farFrom(box, x, y);
  const [atX, atY] = box.spot.at.map((value, k) => (axes[k].type === "log" ? Math.log10(value) : value));
  return {
    x: atX, y: atY, ax: box.x + box.w / 2 - x, ay: box.y + box.h / 2 - y, text: one.text,
    showarrow: true, arrowhead: 0, arrowwidth: 0.8, arrowcolor: far ? tone : "rgba(0,0,0,0)", standoff: 4,
    xanchor: "center", yanchor: "middle", borderpad: 0, font: { color: tone, size: 12 },
  };
}
// Labels with the pixels that they may stand at, the place of each, and whether a series got none.
function places(chart, pixel, size) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  const labels = chart.labels.map((one) => ({
    ...one, spots: one.at.map((at) => ({ at, pixel: pixel(at) })).filter((spot) => spot.pixel.every(Number.isFinite)),
  }));
  const covered = labels.length ? coveredBy(chart.data, pixel) : [];
  const found = placed(labels, size, covered, (text) => pen.measureText(text).width);
  return { labels, found, nameless: found.some((box, i) => !box && labels[i].series) };
}
// Sets the labels of a drawn plot; a series without room for its name gets a legend.
function label(plot, chart, isDark) {
  if (!chart.labels.length) return null;
  const { xaxis, yaxis } = plot._fullLayout;
  const { labels, found, nameless } = places(chart, ([x, y]) => [xaxis.d2p(x), yaxis.d2p(y)], [xaxis._length, yaxis._length]);
  const notes = found.flatMap((box, i) => (box ? [note(box, labels[i], [xaxis, yaxis], isDark)] : []));
  return Plotly.relayout(plot, { annotations: notes, ...(nameless ? { showlegend: true } : {}) }).then(() => {
    if (nameless && !chart.layout.showlegend) { chart.layout.showlegend = true; return label(plot, chart, isDark); }
    return null;
  });
}
// Draws a chart, and labels it again when its place gets another size.
async function draw(plot, chart, isDark, options) {
  plot.style.height = `${chart.layout.height}px`;
  await Plotly.react(plot, chart.data, chart.layout, { responsive: true, ...options });
  await label(plot, chart, isDark);
  if (plot.dataset.watched || !chart.labels.length) return;
  plot.dataset.watched = "yes";
  let waiting = 0;
  addEventListener("resize", () => { clearTimeout(waiting); waiting = setTimeout(() => label(plot, chart, plot.dataset.dark === "yes"), 250); });
}
