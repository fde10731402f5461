// Draws a chart as plain SVG from the data that Plotly reads: at once, and without four megabytes of script.
const SVG = "http://www.w3.org/2000/svg";
const SIDE = 16, TOP = 12, LETTER = 12, LINE = 15, KEY = 22;
function made(name, attributes, ...inside) {
  const found = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) found.setAttribute(key, String(value));
  found.append(...inside);
  return found;
}
// Texts are escaped for Plotly; here they are text already.
function textLines(text) {
  const signs = { "&lt;": "<", "&gt;": ">", "&amp;": "&" };
  return String(text).split("<br>").map((line) => line.replace(/&(?:lt|gt|amp);/g, (sign) => signs[sign]));
}
function written(x, y, text, anchor, attributes = {}) {
  const all = textLines(text), top = y - (all.length - 1) * LINE / 2;
  const spans = all.map((line, i) => made("tspan", { x, y: top + i * LINE }, line));
  return made("text", { "text-anchor": anchor, "dominant-baseline": "central", fill: "currentColor", ...attributes }, ...spans);
}
function titled(mark, text) {
  if (text) mark.append(made("title", {}, textLines(text).join(" ")));
  return mark;
}
// A value's pixel along an axis of some length; `up` where larger values stand higher.
function along1(axis, length, up) {
  const [low, high] = axis.range, log = axis.type === "log";
  return (value) => {
    if (value === null) return NaN;
    const part = ((log ? Math.log10(value) : value) - low) / (high - low);
    return (up ? 1 - part : part) * length;
  };
}
const SHAPES = {
  circle: [], square: [[-1, -1], [1, -1], [1, 1], [-1, 1]], diamond: [[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]],
  "triangle-up": [[0, -1.2], [1.2, 0.9], [-1.2, 0.9]], "triangle-down": [[0, 1.2], [1.2, -0.9], [-1.2, -0.9]],
  "triangle-left": [[-1.2, 0], [0.9, -1.2], [0.9, 1.2]],
  cross: [[-0.4, -1.2], [0.4, -1.2], [0.4, -0.4], [1.2, -0.4], [1.2, 0.4], [0.4, 0.4], [0.4, 1.2], [-0.4, 1.2], [-0.4, 0.4], [-1.2, 0.4], [-1.2, -0.4], [-0.4, -0.4]],
  star: Array.from({ length: 10 }, (_, i) => [Math.sin(i * Math.PI / 5) * (i % 2 ? 0.55 : 1.4), -Math.cos(i * Math.PI / 5) * (i % 2 ? 0.55 : 1.4)]),
  "line-ns": [[0, -1.4], [0, 1.4]],
};
SHAPES.x = SHAPES.cross.map(([x, y]) => [(x - y) * Math.SQRT1_2, (x + y) * Math.SQRT1_2]);
function symbol(marker, x, y) {
  const open = marker.symbol.endsWith("-open"), name = marker.symbol.replace("-open", ""), r = marker.size / 2;
  const edge = marker.line || { width: 0.5, color: marker.color };
  const look = {
    class: "mark", fill: open ? "none" : marker.color, stroke: edge.color, "stroke-width": edge.width, opacity: marker.opacity ?? 1,
  };
  if (name === "circle") return made("circle", { ...look, cx: x, cy: y, r });
  const points = SHAPES[name].map(([right, down]) => `${(x + right * r).toFixed(1)},${(y + down * r).toFixed(1)}`);
  return made("polygon", { ...look, points: points.join(" ") });
}
function path(points) {
  let drawn = "", pen = "M";
  for (const [x, y] of points) {
    const known = Number.isFinite(x) && Number.isFinite(y);
    if (known) drawn += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = known ? "L" : "M";
  }
  return drawn;
}
function errors(trace, at) {
  const found = [];
  for (const [name, axis] of [["error_x", 0], ["error_y", 1]]) {
    const bars = trace[name];
    if (!bars) continue;
    trace.x.forEach((_, i) => {
      const middle = [end(trace, i), trace.y[i]];
      const ends = [middle[axis] - bars.arrayminus[i], middle[axis] + bars.array[i]].map((value) => at(middle.with(axis, value)));
      if (bars.array[i] === null || !ends.flat().every(Number.isFinite)) return;
      found.push(made("path", { class: "mark interval", d: path(ends), stroke: bars.color || "currentColor", "stroke-width": bars.thickness }));
    });
  }
  return found;
}
// Where a mark ends along x: a bar may start behind another.
function end(trace, i) {
  const base = Array.isArray(trace.base) ? trace.base[i] : trace.base || 0;
  return trace.type === "bar" ? base + trace.x[i] : trace.x[i];
}
function scatter(trace, at) {
  const points = trace.x.map((x, i) => at([x, trace.y[i]])), found = [];
  if (trace.fill) return [made("path", { d: `${path(points)}Z`, fill: trace.fillcolor, class: "band" })];
  if (trace.mode.includes("lines")) {
    const dash = trace.line.dash === "solid" ? "none" : trace.line.dash.replaceAll("px", "");
    const look = { fill: "none", stroke: trace.line.color, "stroke-width": trace.line.width, "stroke-dasharray": dash };
    found.push(titled(made("path", { ...look, d: path(points), class: "mark" }), trace.name));
  }
  found.push(...errors(trace, at));
  points.forEach(([x, y], i) => {
    if (!Number.isFinite(x + y)) return;
    if (trace.mode.includes("markers")) found.push(titled(symbol(trace.marker, x, y), trace.hovertext?.[i] || trace.name));
    if (trace.mode.includes("text")) found.push(written(x + (trace.mode === "text" ? 2 : 9), y, trace.text[i], "start", { class: "said" }));
  });
  return found;
}
const STROKES = { "/": "M0 6L6 0", "\\": "M0 0L6 6", x: "M0 6L6 0M0 0L6 6", "+": "M0 3H6M3 0V6", "|": "M3 0V6", "-": "M0 3H6", ".": "M2 3H4" };
// What fills a bar: its colour, or strokes of it, so that bars differ in grey too.
function filling(marker, drawing, key) {
  const shape = marker.pattern?.shape;
  if (!shape) return marker.color;
  const id = `${key}-${drawing.querySelectorAll("pattern").length}`;
  drawing.prepend(made("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse" },
    made("path", { d: STROKES[shape], stroke: marker.color, "stroke-width": shape === "." ? 2 : 1.6, fill: "none" })));
  return `url(#${id})`;
}
function bars(trace, at, fill) {
  const found = [];
  trace.x.forEach((value, i) => {
    const row = trace.y[i], ends = [end(trace, i) - value, end(trace, i)].map((x) => at([x, row])[0]);
    const [upper, lower] = [at([0, row - trace.width / 2])[1], at([0, row + trace.width / 2])[1]].sort((a, b) => a - b);
    if (value === null || !ends.every(Number.isFinite)) return;
    const box = { x: Math.min(...ends), y: upper, width: Math.abs(ends[1] - ends[0]), height: lower - upper };
    found.push(titled(made("rect", { ...box, fill, stroke: trace.marker.color, "stroke-width": 0.5, class: "mark" }), trace.name || trace.hovertext[i]));
  });
  return [...found, ...errors(trace, at)];
}
function tone(scale, part) {
  const k = Math.max(1, scale.findIndex(([at]) => at >= part)), [[from, a], [to, b]] = [scale[k - 1], scale[k]];
  const mix = to > from ? (part - from) / (to - from) : 0;
  return [1, 3, 5].map((i) => Math.round(parseInt(a.slice(i, i + 2), 16) * (1 - mix) + parseInt(b.slice(i, i + 2), 16) * mix));
}
function heat(trace, at) {
  const found = [];
  trace.z.forEach((row, r) => row.forEach((value, c) => {
    const [left, top] = at([c - 0.5, r + 0.5]), [right, bottom] = at([c + 0.5, r - 0.5]);
    const text = trace.text[r]?.[c] || "";
    const place = { x: left + 0.5, y: Math.min(top, bottom) + 0.5, width: right - left - 1, height: Math.abs(bottom - top) - 1 };
    if (value !== null) {
      const [red, green, blue] = tone(trace.colorscale, (value - trace.zmin) / (trace.zmax - trace.zmin));
      const bright = 0.299 * red + 0.587 * green + 0.114 * blue > 140;
      found.push(made("rect", { ...place, fill: `rgb(${red},${green},${blue})`, class: "mark" }));
      found.push(written((left + right) / 2, (top + bottom) / 2, text, "middle", { fill: bright ? "#111" : "#fff", class: "said" }));
    } else if (text) found.push(written((left + right) / 2, (top + bottom) / 2, text, "middle", { class: "said" }));
  }));
  return found;
}
function rule(shape, at, size) {
  const ends = [0, 1].map((k) => {
    const [x, y] = at([shape[`x${k}`], shape[`y${k}`]]);
    return [shape.xref === "paper" ? shape[`x${k}`] * size[0] : x, shape.yref === "paper" ? (1 - shape[`y${k}`]) * size[1] : y];
  });
  return made("path", { d: path(ends), stroke: shape.line.color, "stroke-width": shape.line.width, "stroke-dasharray": "6 4" });
}
function sample(trace, at, y) {
  const x = trace.mode.includes("lines") ? [0, 11, 22] : [11];
  const bare = { error_x: null, error_y: null, hovertext: null, mode: trace.mode.replace("+text", "") };
  return scatter({ ...trace, ...bare, x, y: x }, ([far]) => [at + far, y]);
}
// Names of series in rows above the plot; returns how many rows they take.
function legend(chart, drawing, left, width, measure) {
  let x = 0, row = 0;
  for (const trace of chart.data.filter((one) => one.showlegend)) {
    const text = textLines(trace.name).join(" "), wide = measure(text) + 44;
    if (x && x + wide > width) { x = 0; row += 1; }
    const at = left + x, y = TOP + row * KEY;
    const box = { x: at, y: y - 6, width: 22, height: 12, stroke: trace.marker?.color };
    if (trace.type === "bar") drawing.append(made("rect", { ...box, fill: filling(trace.marker, drawing, `${drawing.id}-key`) }));
    else drawing.append(...sample(trace, at, y));
    drawing.append(written(at + 28, y, trace.name, "start", { class: "key" }));
    x += wide;
  }
  return row + 1;
}
function axes(layout, drawing, box, at, measure) {
  const { xaxis, yaxis } = layout, [left, top, width, height] = box;
  let before = -Infinity;
  xaxis.tickvals.forEach((value, i) => {
    const x = at([value, null])[0], wide = Math.max(...textLines(xaxis.ticktext[i]).map(measure));
    if (!(x >= -0.5 && x <= width + 0.5)) return;
    if (xaxis.showgrid !== false) drawing.append(made("path", { d: `M${left + x} ${top}V${top + height}`, class: "grid" }));
    if (x - wide / 2 < before + 6) return;
    before = x + wide / 2;
    const middle = Math.min(left + x, left + width + SIDE - wide / 2);
    drawing.append(written(middle, top + height + 13, xaxis.ticktext[i], "middle", { class: "tick" }));
  });
  yaxis.tickvals.forEach((value, i) => {
    const y = at([null, value])[1];
    if (!(y >= -0.5 && y <= height + 0.5)) return;
    if (yaxis.showgrid !== false) drawing.append(made("path", { d: `M${left} ${top + y}H${left + width}`, class: "grid" }));
    drawing.append(written(left - 7, top + y, yaxis.ticktext[i], "end", { class: "tick" }));
  });
  drawing.append(written(left + width / 2, top + height + 36, xaxis.title.text, "middle", { class: "axis" }));
  const [x, y] = [LETTER - 2, top + height / 2];
  drawing.append(written(x, y, yaxis.title.text, "middle", { transform: `rotate(-90 ${x} ${y})`, class: "axis" }));
}
// The chart in a place of its own width; drawn anew when that or the theme changes.
function sketch(plot, chart, isDark) {
  const { layout } = chart, whole = [Math.max(240, plot.clientWidth), layout.height];
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = "12px system-ui, 'DejaVu Sans', sans-serif";
  const measure = (text) => pen.measureText(text).width;
  const names = layout.yaxis.ticktext.flatMap((text) => textLines(text).map(measure));
  const left = Math.max(0, ...names) + 14 + (layout.yaxis.title.text ? 18 : 0);
  const drawing = made("svg", { class: "sketch", id: `${plot.id}-sketch`, viewBox: `0 0 ${whole.join(" ")}`, width: whole[0], height: whole[1], "aria-hidden": "true" });
  const keys = layout.showlegend ? legend(chart, drawing, 2, whole[0] - SIDE, measure) : 0;
  const top = TOP + keys * KEY, bottom = layout.xaxis.title.text ? 50 : 28;
  const size = [whole[0] - left - SIDE, whole[1] - top - bottom];
  const right = along1(layout.xaxis, size[0], false), up = along1(layout.yaxis, size[1], true);
  const at = ([x, y]) => [right(x), up(y)];
  axes(layout, drawing, [left, top, ...size], at, measure);
  const inner = made("svg", { x: left, y: top, width: size[0], height: size[1] });
  const texts = made("g", { transform: `translate(${left} ${top})` });
  for (const trace of chart.data) {
    if (trace.type === "bar") inner.append(...bars(trace, at, filling(trace.marker, drawing, drawing.id)));
    else if (trace.type === "heatmap") inner.append(...heat(trace, at));
    else for (const mark of scatter(trace, at)) (mark.tagName === "text" ? texts : inner).append(mark);
  }
  inner.append(...layout.shapes.map((shape) => rule(shape, at, size)));
  const { found, nameless } = places(chart, at, size);
  if (nameless && !layout.showlegend) { layout.showlegend = true; return sketch(plot, chart, isDark); }
  found.forEach((box, i) => { if (box) texts.append(...beside(box, chart.labels[i], isDark)); });
  drawing.append(inner, texts);
  plot.replaceChildren(drawing);
  return null;
}
// A label, and a line to its mark where it had to go far.
function beside(box, one, isDark) {
  const [x, y] = box.spot.pixel, ink = isDark ? one.dark : one.light;
  const near = [Math.min(Math.max(x, box.x), box.x + box.w), Math.min(Math.max(y, box.y), box.y + box.h)];
  const text = written(box.x + box.w / 2, box.y + box.h / 2, one.text, "middle", { fill: ink, class: "label" });
  return farFrom(box, x, y) ? [made("path", { d: path([near, [x, y]]), stroke: ink, "stroke-width": 0.8 }), text] : [text];
}
